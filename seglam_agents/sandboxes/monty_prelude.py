"""What a Monty session executes before its program; read as source, never imported.

Monty scales before it rounds, so that its round(2.675, 2) is 2.68; its formatting rounds as Python does. `finditer` is
put into `_iter_`, because it gives a list. What Monty has no form for outside it becomes text on its way out
(`dict_keys([…])`), so everything is looked at while it is inside.
"""

# pyright: basic, reportUndefinedVariable=false
# ruff: noqa: F821  # `_ask_` and `_refuse_` are the host's

from json import dumps as _dumps_

_round_ = round  # the builtin, which the next line hides
_iter_ = iter
_ENDLESS_ = float("inf")
_VALUES_ = (bool, int, float, str)
_DATES_ = ("date", "time", "datetime", "timedelta", "NoneType")
_DEEPEST_ = 61


def round(number, ndigits=None):
    """Round as Python does."""
    if ndigits is None:
        return _round_(number)
    if not isinstance(number, float) or not -_ENDLESS_ < number < _ENDLESS_:
        return _round_(number, ndigits)
    if ndigits >= 0:
        return float(f"{number:.{ndigits}f}")
    return _round_up_(number, 10 ** min(-ndigits, 400))


def _round_up_(number, unit):
    whole = int(abs(number))
    rest = whole % unit
    odd = whole // unit % 2 == 1
    more = 2 * rest > unit or (2 * rest == unit and (odd or abs(number) > whole))
    rounded = float(whole - rest + (unit if more else 0))
    return -rounded if number < 0 or str(number) == "-0.0" else rounded


def _given_(value, level=0):
    """Return what goes out to the host; end the run where it holds what is no value."""
    try:
        # Much faster than the walk, and good for all that is JSON.
        _dumps_(value)
    except (TypeError, ValueError, RecursionError):
        _look_into_(value, level)
    return value


def _look_into_(value, level):
    waiting = [(value, level)]
    while waiting:
        value, level = waiting.pop()
        if isinstance(value, _VALUES_) or type(value).__name__ in _DATES_:
            continue
        if level == _DEEPEST_:
            _refuse_("")
        if isinstance(value, (list, tuple)):
            waiting.extend([(item, level + 1) for item in value])
        elif isinstance(value, dict):
            waiting.extend([(item, level + 1) for item in value.values()])
        else:
            _refuse_(type(value).__name__)


def _tool_(name):
    """Return the function by which a program calls a tool."""

    def tool(*args, **kwargs):
        _given_((args, kwargs), -2)
        return _ask_(name, args, kwargs)

    return tool
