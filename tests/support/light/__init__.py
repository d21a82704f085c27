"""The trainer's three programs without deepmd: they keep every promise to the worker and train nothing.

For tests of leases: a start takes half a second instead of ten, so a worker can be killed hundreds of times.
"""
