"""Conversion factors to eV and Å, as dpdata has them, so that our readers and dpdata's agree to the last bit."""

from dpdata.unit import EnergyConversion, ForceConversion, LengthConversion, PressureConversion

BOHR = float(LengthConversion("bohr", "angstrom").value())
HARTREE = float(EnergyConversion("hartree", "eV").value())
RYDBERG = float(EnergyConversion("rydberg", "eV").value())
HARTREE_PER_BOHR = float(ForceConversion("hartree/bohr", "eV/angstrom").value())
KBAR = float(PressureConversion("kbar", "eV/angstrom^3").value())
GPA = 10 * KBAR
