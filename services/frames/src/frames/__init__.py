"""Labeled frames on disk and the numbers drawn from them. Units: eV, Å, eV/Å."""
