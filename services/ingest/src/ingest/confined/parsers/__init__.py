"""Readers of our own, where dpdata's are slow, refuse legal files, or pair labels with the wrong structure.

Each takes the files of one calculation and gives its frames one after another, without holding the file.
A module says in its docstring why it is here; units are dpdata's (CODATA 2018), so that both give the same numbers.
"""
