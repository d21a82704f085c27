"""The periodic table: symbols by atomic number, and the place of each."""

_PERIODS = (
    "H He",
    "Li Be B C N O F Ne",
    "Na Mg Al Si P S Cl Ar",
    "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe",
    "Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
    "Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
)
SYMBOLS: tuple[str, ...] = tuple(symbol for period in _PERIODS for symbol in period.split())
KNOWN = frozenset(SYMBOLS)
NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, 1)}
_GROUPS = 18
_F_BLOCK = 14  # of 32 elements in periods 6 and 7, the 3rd to the 16th stand below the table


def _place(period: int, place: int, length: int) -> tuple[int, int]:
    """(row, column), both from 1: rows 8 and 9 are lanthanides and actinides."""
    if length == 32 and 2 <= place < 2 + _F_BLOCK:
        return period + 2, place + 1
    if place < (1 if length == 2 else 2):
        return period, place + 1
    return period, _GROUPS - (length - 1 - place)


PLACES: dict[str, tuple[int, int]] = {
    symbol: _place(period, place, len(symbols.split()))
    for period, symbols in enumerate(_PERIODS, 1)
    for place, symbol in enumerate(symbols.split())
}
