"""What a Monty session executes before a program that computes a length of time; read as source, never imported.

Monty's own `timedelta` takes whole numbers only, no more than three by place, and is stretched by whole numbers only.
This one takes what Python's takes, and rounds as it does.
"""

# pyright: basic, reportOperatorIssue=false

from datetime import timedelta as _span_class_
from math import frexp as _frexp_
from math import modf as _modf_

_UNITS_ = {"microseconds": 1, "milliseconds": 1000, "seconds": 10**6, "minutes": 60 * 10**6}
_UNITS_ = {**_UNITS_, "hours": 3600 * 10**6, "days": 86400 * 10**6, "weeks": 7 * 86400 * 10**6}


def _timedelta_(days=0, seconds=0, microseconds=0, milliseconds=0, minutes=0, hours=0, weeks=0):
    given = {"microseconds": microseconds, "milliseconds": milliseconds, "seconds": seconds, "minutes": minutes}
    given = {**given, "hours": hours, "days": days, "weeks": weeks}
    whole, rest = 0, 0.0
    for name, number in given.items():
        unit = _UNITS_[name]
        if isinstance(number, int):
            whole += number * unit
        elif isinstance(number, float):
            fraction, integer = _modf_(number)
            whole += int(integer) * unit
            if fraction:
                fraction, integer = _modf_(float(unit) * fraction)
                whole += int(integer)
                rest += fraction
        else:
            raise TypeError(f"unsupported type for timedelta {name} component: {type(number).__name__}")
    if rest:
        whole += _nearest_(rest, whole % 2)
    left, micro = divmod(whole, 10**6)
    left, second = divmod(left, 86400)
    if abs(left) > 999999999:
        raise OverflowError(f"days={left}; must have magnitude <= 999999999")
    return _span_class_(days=left, seconds=second, microseconds=micro)


def _nearest_(rest, odd):
    """Round a part of a microsecond; halves go to where the sum is even."""
    away = _away_(rest)
    if abs(away - rest) == 0.5:
        return int(2.0 * _away_((rest + odd) * 0.5) - odd)
    return int(away)


def _away_(number):
    part, whole = _modf_(number)
    return whole + (1.0 if part >= 0.5 else -1.0 if part <= -0.5 else 0.0)


def _times_(left, right):
    if isinstance(left, _span_class_) and isinstance(right, float):
        return _stretched_(left, *_ratio_(right))
    if isinstance(right, _span_class_) and isinstance(left, float):
        return _stretched_(right, *_ratio_(left))
    return left * right


def _over_(left, right):
    if isinstance(left, _span_class_) and isinstance(right, float):
        top, bottom = _ratio_(right)
        if top == 0:
            raise ZeroDivisionError("integer division or modulo by zero")
        return _stretched_(left, bottom, top)
    return left / right


def _ratio_(number):
    """Return two whole numbers of which a float is the quotient."""
    if number != number:
        raise ValueError("cannot convert NaN to integer ratio")
    if number in (float("inf"), -float("inf")):
        raise OverflowError("cannot convert Infinity to integer ratio")
    part, power = _frexp_(number)
    whole, power = int(part * 2.0**53), power - 53
    return (whole * 2**power, 1) if power >= 0 else (whole, 2**-power)


def _stretched_(span, top, bottom):
    """Return a span times a fraction, to the nearest microsecond; halves go to the even one."""
    whole = (span.days * 86400 + span.seconds) * 10**6 + span.microseconds
    whole, bottom = (whole * top, bottom) if bottom > 0 else (-whole * top, -bottom)
    found, rest = divmod(whole, bottom)
    if 2 * rest > bottom or (2 * rest == bottom and found % 2 == 1):
        found += 1
    return _timedelta_(microseconds=found)
