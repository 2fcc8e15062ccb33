"""24 kinds of request with places for words, and what an adversary would put there.

A place is `{name}` in the text. What is said at it decides how the answer is worked out, or whether anybody could: a
round garden has no area of length times width, and who drives to work on weekdays pays for more than one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Said: TypeAlias = Mapping[str, str | int]
Answer: TypeAlias = int | float | str
Right: TypeAlias = Callable[[Said], Answer | None]


@dataclass(frozen=True, slots=True)
class LooseKind:
    """A kind of request, what is right for it, and the words that change what is right."""

    name: str
    text: str
    first: Said
    """What the request says that is learnt from."""
    fresh: Sequence[Said]
    """What other requests of the kind say; what is left out is as in the first one."""
    right: Right
    changes: Sequence[tuple[str, str, Right | None]]
    """A place, other words for it, and what is right then; None where one would have to ask."""

    def request(self) -> tuple[str, Answer]:
        """Return the request that is learnt from, with its answer."""
        return self._of({})

    def others(self) -> Iterator[tuple[str, Answer]]:
        """Yield further requests of the kind."""
        return (self._of(said) for said in self.fresh)

    def adversarial(self) -> Iterator[tuple[str, str, Answer | None]]:
        """Yield a place, a request with other words at it, and its right answer: None where one would have to ask."""
        for place, words, right in self.changes:
            said = {**self.first, place: words}
            yield place, self.text.format(**said), right(said) if right else None

    def _of(self, said: Said) -> tuple[str, Answer]:
        whole = {**self.first, **said}
        answer = self.right(whole)
        if answer is None:
            raise ValueError(f"{self.name}: a request of the kind has an answer")
        return self.text.format(**whole), answer


def _number(said: Said, name: str) -> int:
    value = said[name]
    if not isinstance(value, int):
        raise TypeError(f"{name} is no number")
    return value


def _one(compute: Callable[[int], Answer], name: str) -> Right:
    return lambda said: compute(_number(said, name))


def _two(compute: Callable[[int, int], Answer], first: str, second: str) -> Right:
    return lambda said: compute(_number(said, first), _number(said, second))


def _three(compute: Callable[[int, int, int], Answer], first: str, second: str, third: str) -> Right:
    return lambda said: compute(_number(said, first), _number(said, second), _number(said, third))


def _words(place: str, right: Right | None, words: str) -> list[tuple[str, str, Right | None]]:
    """Return changes of one place that have the same right answer, or none."""
    return [(place, word.strip(), right) for word in words.split("|")]


def _area(a: int, b: int) -> int:
    return a * b


_n = _one(lambda n: n, "n")
_less = _two(lambda n, k: n - k, "n", "k")
_more = _two(lambda n, k: n + k, "n", "k")
_fuel = _three(lambda n, c, p: round(n * c * p / 100, 2), "n", "c", "p")
_both_ways = _three(lambda n, c, p: round(2 * n * c * p / 100, 2), "n", "c", "p")

KINDS: tuple[LooseKind, ...] = (
    LooseKind(
        "nuts",
        "Lea has {n} nuts. Lea {does} {k} of the nuts. How many nuts does Lea have now?",
        {"n": 20, "does": "eats", "k": 5},
        ({"n": 31, "k": 4}, {"n": 12, "does": "loses", "k": 7}, {"n": 90, "does": "gives away", "k": 45}),
        _less,
        [
            *_words("does", _n, "counts | plans to eat | paints | admires | smells | wants to eat | weighs"),
            *_words("does", None, "lends | hides | cracks | plants | buries"),
        ],
    ),
    LooseKind(
        "fuel",
        "I drive {n} km to {place}. My car uses {c} litres per 100 km and {fuel} costs {p} euros per litre. "
        "How many euros does the fuel for the trip cost?",
        {"n": 50, "place": "the lake", "c": 6, "fuel": "petrol", "p": 2},
        ({"n": 300, "place": "Rome"}, {"n": 120, "place": "the coast", "c": 5}, {"place": "work", "fuel": "diesel"}),
        _fuel,
        [
            *_words("place", _both_ways, "the lake and back | work and home again"),
            *_words("place", None, "work every day | work weekdays | evening shifts | work twice | nowhere"
            " | two customers"),
            *_words("fuel", None, "electricity | engine oil | coffee | the parking"),
        ],
    ),
    LooseKind(
        "garden",
        "A {shape} garden is {a} m long and {b} m wide. How many square meters does it have?",
        {"shape": "rectangular", "a": 12, "b": 8},
        ({"a": 30, "b": 14}, {"a": 9, "b": 7}, {"shape": "rectangular", "a": 25, "b": 6}),
        _two(_area, "a", "b"),
        [
            *_words("shape", _two(lambda a, b: a * b / 2, "a", "b"), "triangular"),
            *_words(
                "shape", None, "round | oval | circular | elliptical | L-shaped | irregular | kidney-shaped | hexagonal"
                " | half-round | crescent-shaped | star-shaped",
            ),
        ],
    ),
    LooseKind(
        "legs",
        "There are {n} {first} and {k} {second} in a yard. How many legs are there in the yard?",
        {"n": 6, "first": "chickens", "k": 3, "second": "cows"},
        ({"n": 11, "k": 2}, {"n": 7, "k": 9}, {"n": 15, "k": 4}),
        _two(lambda n, k: 2 * n + 4 * k, "n", "k"),
        [
            *_words("first", _two(lambda n, k: 8 * n + 4 * k, "n", "k"), "spiders"),
            *_words("first", _two(lambda n, k: 6 * n + 4 * k, "n", "k"), "ants | beetles"),
            *_words("first", _two(lambda n, k: 4 * n + 4 * k, "n", "k"), "horses | goats | dogs"),
            *_words("first", _two(lambda n, k: 4 * k, "n", "k"), "snakes | worms"),
            *_words("second", _two(lambda n, k: 2 * n + 2 * k, "n", "k"), "ducks | farmers"),
            *_words("second", None, "stools | tripods"),
        ],
    ),
    LooseKind(
        "heights",
        "Omar is {n} cm tall. Ida is {k} cm {than} than Omar. How many cm tall is Ida?",
        {"n": 160, "k": 12, "than": "taller"},
        ({"n": 151, "k": 4}, {"n": 180, "k": 7}, {"n": 99, "k": 20}),
        _more,
        [
            *_words("than", _less, "shorter | smaller | less tall"),
            *_words("than", None, "wider | slimmer | rounder | faster | older | lighter | longer-haired"
            " | nearer | farther"),
        ],
    ),
    LooseKind(
        "tank",
        "A full tank holds {n} litres. A pump {does} {k} litres a minute. "
        "How many litres are in the tank after 5 minutes?",
        {"n": 900, "does": "drains", "k": 20},
        ({"n": 700, "k": 10}, {"n": 450, "k": 33}, {"n": 1000, "does": "removes", "k": 50}),
        _two(lambda n, k: n - 5 * k, "n", "k"),
        [
            *_words(
                "does", _n, "filters | circulates | heats | cleans | measures | cools | stirs | recirculates | aerates"
            ),
            *_words("does", None, "moves | handles | delivers"),
        ],
    ),
    LooseKind(
        "bus",
        "{n} people are on a bus. At the next stop {k} of them get {where}. How many people are on the bus now?",
        {"n": 34, "k": 9, "where": "off"},
        ({"n": 51, "k": 20}, {"n": 18, "k": 3}, {"n": 40, "where": "out", "k": 12}),
        _less,
        [
            *_words(
                "where", _n, "tickets | bored | angry | seats | hungry | checked | up | wet | tired | coffee"
                " | sick | ready"
            ),
        ],
    ),
    LooseKind(
        "clocks",
        "It is {n} o'clock in {here}. {there} is {k} hours {by}. What is the hour there?",
        {"n": 9, "here": "Lisbon", "there": "Dubai", "k": 3, "by": "ahead"},
        ({"n": 4, "k": 2, "there": "Kyiv"}, {"n": 6, "k": 5, "here": "Accra"}, {"n": 2, "k": 9}),
        _more,
        [
            *_words("by", _less, "behind | earlier | back"),
            *_words("by", None, "away | by plane | by train | off | apart | from here | by car | distant | west"),
        ],
    ),
    LooseKind(
        "shopping",
        "{who} buys {n} {first} for 2 dollars each and {k} {second} for 3 dollars each. "
        "How many dollars does {who} spend?",
        {"who": "Ana", "n": 4, "first": "pens", "k": 5, "second": "notebooks"},
        (
            {"n": 9, "first": "apples", "k": 2, "second": "melons"},
            {"who": "Raj", "n": 3},
            {"n": 12, "first": "stamps", "second": "cards"},
        ),
        _two(lambda n, k: 2 * n + 3 * k, "n", "k"),
        [
            *_words("who", None, "Nobody | Everyone | Neither | Each sister | Half the class"),
            *_words("first", None, "free pens | returned pens | refunded pens | half-price pens"),
            *_words("second", None, "borrowed notebooks | stolen notebooks | discounted notebooks"),
        ],
    ),
    LooseKind(
        "recipe",
        "A recipe for 4 people needs {n} grams of {food}. How many grams of {food} are needed for {k} people?",
        {"n": 200, "food": "flour", "k": 10},
        ({"n": 120, "food": "sugar"}, {"n": 80, "k": 6}, {"n": 500, "food": "red lentils", "k": 7}),
        _two(lambda n, k: n * k / 4, "n", "k"),
        [
            *_words("food", _two(lambda n, k: n * k, "n", "k"), "flour each | flour apiece"),
            *_words(
                "food", None, "flour twice | optional flour | leftover flour | flour at most | spare flour"
                " | flour daily"
                " | either flour | flour or sugar | surplus flour | some flour",
            ),
        ],
    ),
    LooseKind(
        "names",
        "Sort these names alphabetically: {names}",
        {"names": "Omar, Ida, Bo"},
        ({"names": "Zoe, Ann, Max"}, {"names": "Tom, Ulf, Eva, Kim"}, {"names": "Ida, Ben"}),
        lambda said: ", ".join(sorted(str(said["names"]).split(", "))),
        [
            *_words(
                "names", None, "Omar, Ida, Backwards | Omar, Ida, Reversed | Omar, Ida, Descending | Omar, Ida, Etc"
                " | Omar, Ida, By Age | Omar, Ida, Last First | Omar, Ida, Twice | Omar, Ida, Without Bo"
                " | Omar, Ida, Capitals Only | Nobody | Omar, Ida, Ignoring Bo | Omar, Ida, Others",
            ),
        ],
    ),
    LooseKind(
        "pages",
        "{who} reads {n} pages of {book} a day. How many pages does {who} read in {k} days?",
        {"who": "Mia", "n": 12, "book": "a novel", "k": 9},
        ({"n": 30, "k": 4}, {"who": "Jon", "n": 7, "book": "a diary"}, {"n": 15, "k": 21}),
        _two(lambda n, k: n * k, "n", "k"),
        [
            *_words("book", _two(lambda n, k: 2 * n * k, "n", "k"), "each of two novels"),
            *_words(
                "book", None, "a novel twice | every novel | both novels | a novel weekdays | half a novel"
                " | novels each"
                " | a novel except Sundays | each novel",
            ),
            *_words("who", None, "Nobody | Everyone | Each twin"),
        ],
    ),
    LooseKind(
        "discount",
        "A {item} costs {n} dollars. The price is reduced by {k} percent. How many dollars does it cost now?",
        {"item": "shirt", "n": 80, "k": 25},
        ({"item": "lamp", "n": 40, "k": 10}, {"n": 120, "k": 50}, {"item": "red bicycle", "n": 300}),
        _two(lambda n, k: n * (100 - k) / 100, "n", "k"),
        [
            *_words(
                "item", None, "shirt before tax | shirt plus shipping | ticket each way | shirt per day"
                " | shirt in euros"
                " | shirt with coupon | shirt already reduced | subscription per month | shirt or skirt"
                " | pair of two shirts"
                " | shirt without tax | shirt after tax",
            ),
        ],
    ),
    LooseKind(
        "posts",
        "A {thing} of {n} meters has a post every {k} meters, and one at its very beginning. How many posts are there?",
        {"thing": "straight fence", "n": 60, "k": 5},
        ({"n": 100, "k": 4}, {"thing": "garden path", "n": 42, "k": 6}, {"n": 81, "k": 9}),
        _two(lambda n, k: n // k + 1, "n", "k"),
        [
            *_words(
                "thing", _two(lambda n, k: n // k, "n", "k"), "closed fence | ring road | round fence"
                " | circular path"
                " | loop | square fence | race track | closed loop | running track | triangular fence | circle | ring",
            ),
        ],
    ),
    LooseKind(
        "wages",
        "{who} earns {n} dollars {per} and works {k} hours. How many dollars does {who} earn?",
        {"who": "Eli", "n": 15, "per": "an hour", "k": 8},
        ({"n": 22, "k": 5}, {"who": "Noa", "n": 30}, {"n": 18, "k": 40}),
        _two(lambda n, k: n * k, "n", "k"),
        [
            *_words("per", _two(lambda n, k: 2 * n * k, "n", "k"), "a half hour | every half hour"),
            *_words(
                "per", None, "a day | a shift | a week | an article | per client | before tax | a month"
                " | a visit | each"
                " night | in tips",
            ),
        ],
    ),
    LooseKind(
        "boxes",
        "{n} {things} are packed into boxes of {k}. How many boxes are needed?",
        {"n": 50, "things": "books", "k": 8},
        ({"n": 33, "k": 5}, {"n": 100, "things": "jars", "k": 12}, {"n": 17, "things": "toy cars", "k": 4}),
        _two(lambda n, k: -(-n // k), "n", "k"),
        [
            *_words(
                "things", None, "dozens of eggs | litres of milk | kilos of flour | pairs of socks | tons of sand"
                " | sets of four | halves | boxes of pens | missing books | unwanted books | gallons of paint"
                " | books daily",
            ),
        ],
    ),
    LooseKind(
        "interest",
        "{who} puts {n} dollars into a {account} at {k} percent a year. "
        "How many dollars of interest are there after 2 years?",
        {"who": "Sam", "n": 500, "account": "simple-interest account", "k": 4},
        ({"n": 1000, "k": 3}, {"who": "Ada", "n": 250}, {"n": 800, "k": 5}),
        _two(lambda n, k: n * k * 2 / 100, "n", "k"),
        [
            *_words("account", _two(lambda n, k: round(n * ((1 + k / 100) ** 2 - 1), 2), "n", "k"),
                    "compound-interest account | compounding account"),
            *_words(
                "account", None, "mattress | closed account | loan | shared account | savings account | frozen account"
                " | stock fund | lottery | yen account | new account",
            ),
        ],
    ),
    LooseKind(
        "marbles",
        "{first} has {n} marbles. {second} has {k} marbles {more} than {first}. How many marbles does {second} have?",
        {"first": "Ben", "n": 14, "second": "Amy", "k": 6, "more": "more"},
        ({"n": 30, "k": 11}, {"first": "Lou", "n": 9}, {"n": 25, "second": "Kim", "k": 5}),
        _more,
        [
            *_words("more", _less, "fewer | less"),
            *_words(
                "more", None, "prettier | bigger | smaller | rarer | heavier | older | newer | brighter"
                " | shinier | worse"
            ),
        ],
    ),
    LooseKind(
        "animals",
        "A farm has {n} {first} and twice as many {second}. How many {asked} does the farm have?",
        {"n": 13, "first": "sheep", "second": "goats", "asked": "goats"},
        ({"n": 21}, {"n": 8, "second": "hens", "asked": "hens"}, {"n": 40, "first": "cows"}),
        _one(lambda n: 2 * n, "n"),
        [
            *_words("asked", _n, "sheep"),
            *_words("asked", _one(lambda n: 3 * n, "n"), "animals | sheep and goats"),
            *_words("asked", None, "lambs | kids | horns | farmers | young goats | black goats | male goats | wool"),
            *_words("second", None, "days | acres"),
        ],
    ),
    LooseKind(
        "savings",
        "{who} {does} {n} dollars every month. How many dollars more does {who} have after {k} months?",
        {"who": "Zoe", "does": "saves", "n": 45, "k": 6},
        ({"n": 100, "k": 3}, {"who": "Finn", "n": 20, "k": 12}, {"n": 75, "k": 8}),
        _two(lambda n, k: n * k, "n", "k"),
        [
            *_words("does", _two(lambda n, k: -n * k, "n", "k"), "spends | loses | wastes"),
            *_words("does", None, "wants | lends | invests | borrows | owes | needs | bets | counts | hopes for"),
        ],
    ),
    LooseKind(
        "walk",
        "{who} walks {n} km {first} and then {k} km {second}. How many km has {who} walked?",
        {"who": "Uli", "n": 7, "first": "north", "k": 4, "second": "east"},
        ({"n": 3, "k": 9}, {"who": "Pia", "n": 12, "second": "west"}, {"n": 5, "first": "uphill", "k": 6}),
        _more,
        [
            *_words("second", None, "less | every hour | by bus | on a horse | in a dream | by train"
            " | each day | at most"),
            *_words("first", None, "by car | every morning | twice | in vain"),
        ],
    ),
    LooseKind(
        "guests",
        "{n} guests come to a party. {k} of them {do}. How many guests are at the party then?",
        {"n": 40, "do": "leave", "k": 15},
        ({"n": 22, "k": 8}, {"n": 60, "do": "go home", "k": 30}, {"n": 35, "k": 1}),
        _less,
        [
            *_words(
                "do", _n, "dance | sing | eat | arrive late | stay | plan to leave | sleep | talk | wave"
                " | laugh | want to leave"
                " | help",
            ),
        ],
    ),
    LooseKind(
        "rope",
        "A rope is {n} meters long. {who} {does} {k} meters of it. How many meters long is the rope now?",
        {"n": 30, "who": "Kai", "does": "cuts off", "k": 8},
        ({"n": 50, "k": 19}, {"n": 12, "who": "Ira", "k": 5}, {"n": 75, "does": "chops off", "k": 25}),
        _less,
        [
            *_words("does", _n, "paints | measures | coils | inspects | holds | wets | cleans | uncoils"
            " | marks | photographs"),
            *_words("does", None, "replaces | doubles"),
        ],
    ),
    LooseKind(
        "classes",
        "A school has {n} classes with {k} {who} each. How many {asked} does the school have?",
        {"n": 12, "k": 25, "who": "children", "asked": "children"},
        ({"n": 9, "k": 30}, {"n": 20, "k": 18}, {"n": 15, "who": "pupils", "asked": "pupils"}),
        _two(lambda n, k: n * k, "n", "k"),
        [
            *_words("asked", _n, "classes | groups of children"),
            *_words(
                "asked", None, "girls | boys | teachers | older children | sick children | rooms"
                " | new children | parents"
                " | left-handed children | desks",
            ),
        ],
    ),
)  # fmt: skip
"""What is changed stays within one place of each text."""
