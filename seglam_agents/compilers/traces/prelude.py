"""The functions of generated bodies, each of which does one thing that its name says.

This module is read as source: a body carries a copy of the functions that it uses (see `terms.PRELUDE`), and they call
nothing but each other, `deopt`, `re` and the dates. What is above the first of them stays here.
"""

# pyright: basic
# The bodies of procedures carry no annotations.
from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import NoReturn


class Unknown(Exception):
    """A term has no value in a view."""


def deopt(reason: str) -> NoReturn:
    """Give up, as it does inside a sandbox."""
    raise Unknown(reason)


def expect(condition, otherwise):
    """Go on only where it is as it was in the runs."""
    if not condition:
        deopt(f"no run shows what to do with {otherwise}")


def is_text(value, kind):
    """Tell whether a value is a text with something in it: an "id" with a digit, a "day", a "name" with a capital."""
    if not isinstance(value, str) or not value.strip():
        return False
    if kind == "day":
        return re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is not None
    if kind == "name":
        return re.search("[a-z]", value) is not None and value[0] != value[0].lower()
    return kind == "text" or re.search(r"[0-9@]", value) is not None


def like_seen(record, keys, values={}, ranges={}, texts={}):
    """Go on only with a record like those of the runs."""
    for key in record:
        if key not in keys:
            deopt(f"no run shows what to do with {key!r}")
    for key in values:
        if record.get(key) not in values[key]:
            deopt(f"no run shows what to do with {key}={record.get(key)!r}")
    for key in texts:
        if not is_text(record.get(key), texts[key]):
            deopt(f"no run shows what to do with {key}={record.get(key)!r}")
    for key in ranges:
        number = record.get(key)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            deopt(f"no run shows what to do with {key}={number!r}")
        if not ranges[key][0] <= number <= ranges[key][1]:
            deopt(f"no run shows what to do with {key}={number!r}")


def rows_like(rows, keys, values={}, ranges={}):
    """Go on only with rows like those of the runs."""
    for row in rows:
        like_seen(row, keys, values, ranges)


def side_of(text, now):
    """Tell whether an ISO date is before, on or after today."""
    today = iso_day(now)
    return "before" if text[:10] < today else "after" if text[:10] > today else "today"


def sentence_of(text):
    """A text without its numbers and ids."""
    return re.sub(r"\S*\d\S*", "#", text)


def exact(number):
    """A result without the noise of binary fractions."""
    number = round(number, 9)
    return int(number) if number == int(number) else number


def enclosed(numbers, seen):
    """Tell whether some run had none of these numbers larger, and some run none smaller."""
    above = any([all([run[i] >= numbers[i] for i in range(len(numbers))]) for run in seen])
    below = any([all([run[i] <= numbers[i] for i in range(len(numbers))]) for run in seen])
    return above and below


def precise(number, digits):
    """Tell whether a number has no more decimals than that."""
    return abs(number - round(number, digits)) < 1e-9


def agree(first, *others):
    """Several explanations fitted every run: go on only where they still say the same."""
    for other in others:
        if other != first:
            deopt(f"explanations that fitted all runs differ here: {first!r} and {other!r}")
    return first


def only(rows):
    """Every run had exactly one."""
    if not isinstance(rows, list) or len(rows) != 1:
        deopt("every run had exactly one here")
    return rows[0]


def first(rows):
    if not rows:
        deopt("no run was without one here")
    return rows[0]


def last(rows):
    if not rows:
        deopt("no run was without one here")
    return rows[-1]


def lowest(rows, key, of_equals=""):
    """The row with the smallest value of a key."""
    return one_of(having(rows, key, min(column(rows, key))), key, of_equals)


def highest(rows, key, of_equals=""):
    """The row with the largest value of a key."""
    return one_of(having(rows, key, max(column(rows, key))), key, of_equals)


def one_of(rows, key, of_equals):
    """The only row, or that of equal ones which runs took: the first, the last, or that with less of something else."""
    if len(rows) > 1 and not of_equals:
        deopt(f"in no run two had the same {key} here")
    if len(rows) > 1 and of_equals[:5] in ["less ", "more "]:
        other = of_equals[5:]
        return lowest(rows, other) if of_equals[:5] == "less " else highest(rows, other)
    return rows[-1] if of_equals == "last" else rows[0]


def having(rows, key, value):
    return [row for row in rows if row[key] == value]


def having_any(rows, key, *values):
    return [row for row in rows if row[key] in values]


def having_other(rows, key, value):
    return [row for row in rows if row[key] != value]


def having_at_least(rows, key, value):
    return [row for row in rows if row[key] >= value]


def having_at_most(rows, key, value):
    return [row for row in rows if row[key] <= value]


def having_more(rows, key, value):
    return [row for row in rows if row[key] > value]


def having_less(rows, key, value):
    return [row for row in rows if row[key] < value]


def having_fewer(rows, key, other):
    """Rows that have less under one key than under another: in stock, and wanted."""
    return [row for row in rows if row[key] < row[other]]


def having_no_more(rows, key, other):
    return [row for row in rows if row[key] <= row[other]]


def ordered(rows, key):
    return sorted(rows, key=lambda row: row[key])


def ordered_down(rows, key):
    return sorted(rows, key=lambda row: row[key], reverse=True)


def column(rows, key):
    return [row[key] for row in rows]


def under(record, word):
    """What a record holds under a word, however that is written."""
    found = [record[key] for key in record if key.lower() == word.lower()]
    if len(found) != 1:
        deopt(f"nothing is known of {word!r}")
    return found[0]


def common(rows, key):
    """What all rows say alike."""
    if not rows or any([row[key] != rows[0][key] for row in rows]):
        deopt(f"every run had one {key} in all rows here")
    return rows[0][key]


def entries(record):
    """The values of a dict, in its order."""
    return [record[key] for key in record]


def mean(numbers):
    return sum(numbers) / len(numbers)


def lower(text):
    return text.lower()


def upper(text):
    return text.upper()


def title(text):
    return text.title()


def sentence(text):
    """With a capital at the beginning."""
    return text[:1].upper() + text[1:]


def snake(text):
    return "_".join(text.lower().split())


def dashed(text):
    return "-".join(text.lower().split())


def first_word(text):
    return text.split()[0]


def last_word(text):
    return text.split()[-1]


def before_at(text):
    return text.split("@")[0]


def words_of(text):
    return text.split()


def listed(text):
    """The items of "a, b and c"."""
    return [item.strip() for item in text.replace(" and ", ",").split(",") if item.strip()]


def comma_joined(items):
    return ", ".join(items)


def and_joined(items):
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else items[0]


def line_joined(items):
    return "\n".join(items)


def told(rows, between, *parts):
    """Each row in the same words, literal texts and keys in turn, with something between two of them."""
    texts = []
    for row in rows:
        said = ""
        for i in range(len(parts)):
            said += parts[i] if i % 2 == 0 else str(row[parts[i]])
        texts.append(said)
    return between.join(texts)


def whole(number):
    """A number without a fraction, as an integer."""
    if number != int(number):
        deopt("every run had a whole number here")
    return int(number)


def rounded(number, digits):
    return round(number + 1e-9, digits)


def decimals(number, digits):
    return f"{number:.{digits}f}"


def minutes(span):
    return whole(span.total_seconds() / 60)


def hours(span):
    seconds = span.total_seconds()
    return int(seconds // 3600) if seconds % 3600 == 0 else seconds / 3600


def days(span):
    return whole(span.total_seconds() / 86400)


def weeks(span):
    return whole(span.total_seconds() / 604800)


def month_number(name):
    names = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    return names.index(name[:3].lower()) + 1


def day_of(text):
    """The day of an ISO date, with or without a time."""
    return date(int(text[0:4]), int(text[5:7]), int(text[8:10]))


def moment_of(text):
    """The moment of an ISO date with a time; midnight without one."""
    clock = [int(part) for part in text[11:19].split(":")] if len(text) > 10 else [0, 0]
    seconds = clock[2] if len(clock) > 2 else 0
    return datetime(int(text[0:4]), int(text[5:7]), int(text[8:10]), clock[0], clock[1], seconds)


def this_year(month_day, now):
    """The day of this year."""
    return date(now.year, int(month_day[:2]), int(month_day[3:]))


def coming(month_day, now):
    """The day today, or the next time it comes."""
    day = this_year(month_day, now)
    return day if day >= date(now.year, now.month, now.day) else date(day.year + 1, day.month, day.day)


def past(month_day, now):
    """The day today, or the last time it was."""
    day = this_year(month_day, now)
    return day if day <= date(now.year, now.month, now.day) else date(day.year - 1, day.month, day.day)


def next_weekday(name, now):
    """The first such day after today."""
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    today = date(now.year, now.month, now.day)
    return today + timedelta(days=(names.index(name) - today.weekday() - 1) % 7 + 1)


def last_weekday(name, now):
    """The last such day before today."""
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    today = date(now.year, now.month, now.day)
    return today - timedelta(days=(today.weekday() - names.index(name) - 1) % 7 + 1)


def shifted(moment, amount):
    """Some days later, or earlier where negative."""
    return moment + timedelta(days=amount)


def later(moment, span):
    return moment + span


def earlier(moment, span):
    return moment - span


def at(day, clock):
    """A day and a time of day."""
    return datetime(day.year, day.month, day.day, clock.hour, clock.minute, clock.second)


def digits(text):
    """The digits of a token: 901 of "O901"."""
    return "".join([character for character in text if character.isdigit()])


def letters(text):
    """The letters before the first digit: "O" of "O901"."""
    return re.sub(r"[0-9].*", "", text)


def shape_of(text):
    """The kinds of characters of an id: "AA-0000" of "OR-1234"."""
    upper = re.sub(r"[A-Z]", "A", re.sub(r"[0-9]", "0", text))
    return re.sub(r"[a-z]", "a", upper)


def tells(result, text):
    """Tell whether a result says a text somewhere, whatever its case."""
    if isinstance(result, str):
        return result.lower() == text.lower()
    if isinstance(result, dict):
        return any([tells(result[key], text) for key in result])
    return isinstance(result, list) and any([tells(each, text) for each in result])


def having_same(rows, key, value):
    """Rows with a text, whatever its case."""
    return [row for row in rows if row[key].lower() == value.lower()]


def having_above(rows, key, low, high):
    """Rows from `high` up: no run shows which side of the limit lies between."""
    if any([low < row[key] < high for row in rows]):
        deopt(f"no run shows on which side {key} falls")
    return [row for row in rows if row[key] >= high]


def having_below(rows, key, low, high):
    """Rows up to `low`: no run shows which side of the limit lies between."""
    if any([low < row[key] < high for row in rows]):
        deopt(f"no run shows on which side {key} falls")
    return [row for row in rows if row[key] <= low]


def having_before(rows, key, day):
    return [row for row in rows if row[key][:10] < iso_day(day)]


def having_from(rows, key, day):
    return [row for row in rows if row[key][:10] >= iso_day(day)]


def having_after(rows, key, day):
    return [row for row in rows if row[key][:10] > iso_day(day)]


def having_until(rows, key, day):
    return [row for row in rows if row[key][:10] <= iso_day(day)]


def having_on(rows, key, day):
    return [row for row in rows if row[key][:10] == iso_day(day)]


def having_within(rows, key, day, amount):
    """Rows from a day on until so many days later; before it where negative."""
    first, last = min(amount, 0), max(amount, 0)
    return [row for row in rows if iso_day(shifted(day, first)) <= row[key][:10] <= iso_day(shifted(day, last))]


def having_in_month(rows, key, day):
    return [row for row in rows if row[key][:7] == iso_day(day)[:7]]


def quarter(day):
    return (day.month + 2) // 3


def quarter_name(day):
    return f"Q{(day.month + 2) // 3}"


def month_name(day):
    names = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
    return (*names, "November", "December")[day.month - 1]


def weekday_name(day):
    return ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[day.weekday()]


def iso_quarter(day):
    return f"{day.year}-Q{(day.month + 2) // 3}"


def iso_month(day):
    return iso_day(day)[:7]


def week(day):
    """The ISO week of the year."""
    thursday = date(day.year, day.month, day.day) + timedelta(days=3 - day.weekday())
    return (thursday - date(thursday.year, 1, 1)).days // 7 + 1


def day_number(day):
    return day.day


def month_of(day):
    return day.month


def year_of(day):
    return day.year


def months_later(day, amount):
    """The first of a month some months later, or earlier where negative."""
    months = day.year * 12 + day.month - 1 + amount
    return date(months // 12, months % 12 + 1, 1)


def months_on(day, amount):
    """The same day some months later, or earlier where negative; the last one of a month that has no such day."""
    first = months_later(day, amount)
    last = shifted(months_later(day, amount + 1), -1)
    return date(first.year, first.month, min(day.day, last.day))


def workdays_later(day, amount):
    """A day so many working days later."""
    while amount > 0:
        day = shifted(day, 1)
        if day.weekday() < 5:
            amount -= 1
    return day


def quarter_start(day):
    return date(day.year, day.month - (day.month - 1) % 3, 1)


def year_start(day):
    return date(day.year, 1, 1)


def week_start(day):
    """The Monday of the week."""
    return date(day.year, day.month, day.day) - timedelta(days=day.weekday())


def grouped(number):
    return f"{number:,}"


def grouped_cents(number):
    return f"{number:,.2f}"


def iso_day(day):
    return f"{day.year:04}-{day.month:02}-{day.day:02}"


def iso_moment(moment, between):
    return f"{iso_day(moment)}{between}{moment.hour:02}:{moment.minute:02}:{moment.second:02}"


def iso_minute(moment, between):
    return f"{iso_day(moment)}{between}{moment.hour:02}:{moment.minute:02}"


def hour_minute(moment):
    return f"{moment.hour:02}:{moment.minute:02}"


def worded(text, most, names, said):
    """Tell whether words are as many as in the runs; names may have one more, with a capital, or as it was said."""
    words = text.split()
    if not names:
        return len(words) <= most
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today", "tomorrow"]
    named = [word[:1] == word[:1].upper() and word.lower() not in days for word in words if word not in said]
    return len(words) <= most + 1 and all(named)


def folded(value):
    return value.lower() if isinstance(value, str) else value


def days_since(day, now):
    return (date(now.year, now.month, now.day) - date(day.year, day.month, day.day)).days


def days_until(day, now):
    return -days_since(day, now)


def part_of_day(moment):
    if moment.hour < 5 or moment.hour >= 23:
        return "night"
    return "morning" if moment.hour < 12 else "afternoon" if moment.hour < 18 else "evening"


def figured(text, around, low, high):
    """Tell whether a text is an amount like those of the runs: the same signs around it, a number between theirs."""
    amount = r"([$€£¥]|[A-Z]{3} |)(-?\d[\d,]*(?:\.\d+)?)( ?[%€$£]| [A-Za-z]{1,5}|)$"
    match = re.match(amount, text) if isinstance(text, str) else None
    return match is not None and [match[1], match[3]] in around and low <= float(match[2].replace(",", "")) <= high
