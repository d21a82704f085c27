"""Numbers as people read them."""

from collections.abc import Sequence


def percent(fraction: float) -> str:
    """'96 %'; never rounds up to 100 % or down to 0 % what is not."""
    value = 100 * fraction
    if 0 < value < 1:
        return "under 1 %"
    if 99 < value < 100:
        return "over 99 %"
    return f"{value:.0f} %"


def significant(value: float, digits: int = 3) -> str:
    """'0.0567', '1.26', '50', '1970': `digits` significant digits, whole numbers in full."""
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def counted(count: int, noun: str) -> str:
    """'1 frame', '3 frames'."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(words: Sequence[str]) -> str:
    """'C', 'C and Si', 'C, O and Si'."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def shortened(name: str, most: int = 32) -> str:
    """The beginning of a long name, with '…'."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
