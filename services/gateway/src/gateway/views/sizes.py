"""How many bytes something has, for people."""


def size_of(number: int) -> str:
    """Bytes in powers of 1,000: '18.2 kB', '4.29 GB'."""
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
