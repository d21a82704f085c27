"""Conversion factors to eV and Å, as dpdata has them, so that our readers and dpdata's agree to the last bit."""

from ingest.confined.lean import dpdata

_unit = dpdata.unit
BOHR = float(_unit.LengthConversion("bohr", "angstrom").value())
HARTREE = float(_unit.EnergyConversion("hartree", "eV").value())
RYDBERG = float(_unit.EnergyConversion("rydberg", "eV").value())
HARTREE_PER_BOHR = float(_unit.ForceConversion("hartree/bohr", "eV/angstrom").value())
KBAR = float(_unit.PressureConversion("kbar", "eV/angstrom^3").value())
GPA = 10 * KBAR
