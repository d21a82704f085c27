"""The artifact in a fresh process: does it load, and is it what was trained?"""
