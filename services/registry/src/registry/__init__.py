"""Rounds, leases, versions and the growth policy: who decides what the model grows on and whether it did."""
