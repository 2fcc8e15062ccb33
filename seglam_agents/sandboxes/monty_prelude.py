"""What a Monty session executes before its program; read as source, never imported.

Monty scales before it rounds, so that its round(2.675, 2) is 2.68; its formatting rounds as Python does.
"""

# pyright: basic

_round_ = round  # the builtin, which the next line hides


def round(number, ndigits=None):
    """Round as Python does."""
    if ndigits is None:
        return _round_(number)
    if isinstance(number, float) and ndigits >= 0:
        return float(f"{number:.{ndigits}f}")
    return _round_(number, ndigits)
