"""What a Monty session executes before a program that reads dates with `strptime`; read as source, never imported.

Monty's own passes over spaces, takes "24" for the year 24 and "1 Jan" for `%d %B`, and drops an hour that has no
minutes: "3 PM" is midnight. This one reads what Python reads, and nothing else.
"""

# pyright: basic, reportUndefinedVariable=false
# ruff: noqa: F821  # `_lacks_` is the host's

import re as _re_
from datetime import datetime as _datetime_
from datetime import timedelta as _dates_span_
from datetime import timezone as _timezone_

_MONTHS_ = ["january", "february", "march", "april", "may", "june", "july", "august"]
_MONTHS_ += ["september", "october", "november", "december"]
_WEEK_ = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_SHORT_ = {"b": [name[:3] for name in _MONTHS_], "a": [name[:3] for name in _WEEK_]}
_FIELDS_ = {
    "d": "3[0-1]|[1-2][0-9]|0[1-9]|[1-9]| [1-9]",
    "f": "[0-9]{1,6}",
    "H": "2[0-3]|[0-1][0-9]|[0-9]",
    "I": "1[0-2]|0[1-9]|[1-9]",
    "m": "1[0-2]|0[1-9]|[1-9]",
    "M": "[0-5][0-9]|[0-9]",
    "S": "6[0-1]|[0-5][0-9]|[0-9]",
    "y": "[0-9][0-9]",
    "Y": "[0-9][0-9][0-9][0-9]",
    "z": "[+-][0-9][0-9]:?[0-5][0-9](?::?[0-5][0-9](?:\\.[0-9]{1,6})?)?|(?-i:Z)",
    "p": "am|pm",
    "B": "|".join(_MONTHS_),
    "b": "|".join(_SHORT_["b"]),
    "A": "|".join(_WEEK_),
    "a": "|".join(_SHORT_["a"]),
}


def _strptime_(text, form):
    found = _re_.match(_date_pattern_(form), text, _re_.IGNORECASE)
    if not found:
        raise ValueError(f"time data {text!r} does not match format {form!r}")
    if found.end() != len(text):
        raise ValueError(f"unconverted data remains: {text[found.end() :]}")
    part = {name: value.lower() for name, value in found.groupdict().items() if value}
    year, month, hour = int(part.get("Y", "1900")), int(part.get("m", "1")), int(part.get("H", "0"))
    if "y" in part:
        year = int(part["y"]) + (2000 if int(part["y"]) < 69 else 1900)
    if "B" in part or "b" in part:
        month = 1 + (_MONTHS_.index(part["B"]) if "B" in part else _SHORT_["b"].index(part["b"]))
    if "I" in part:
        hour = int(part["I"]) % 12 + (12 if part.get("p") == "pm" else 0)
    minute, second, micro = int(part.get("M", "0")), int(part.get("S", "0")), int(f"{part.get('f', '0'):0<6}")
    return _datetime_(year, month, int(part.get("d", "1")), hour, minute, second, micro, tzinfo=_date_zone_(part))


def _date_zone_(part):
    if "z" not in part:
        return None
    digits = "000000" if part["z"] == "z" else part["z"][1:].replace(":", "") + "00"
    if "." in digits:
        _lacks_("an offset with parts of a second cannot be read here")
    if part["z"].count(":") == 1 and len(digits) == 8:
        # Two colons, or none.
        raise ValueError(f"Inconsistent use of : in {part['z']}")
    seconds = 3600 * int(digits[:2]) + 60 * int(digits[2:4]) + int(digits[4:6])
    return _timezone_(_dates_span_(seconds=-seconds if part["z"][0] == "-" else seconds))


def _date_pattern_(form):
    pattern, place = "", 0
    while place < len(form):
        sign, field = form[place], form[place + 1 : place + 2]
        if sign == "%" and field == "%":
            pattern += "%"
        elif sign == "%" and field in _FIELDS_:
            pattern += f"(?P<{field}>{_FIELDS_[field]})"
        elif sign == "%":
            _lacks_(f"strptime() reads no %{field} here")
        elif not sign.isspace():
            pattern += _re_.escape(sign)
        elif not pattern.endswith("\\s+"):
            pattern += "\\s+"
        place += 2 if sign == "%" else 1
    return pattern
