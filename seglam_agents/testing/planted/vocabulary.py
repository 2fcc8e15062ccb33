"""Words that planted agents are made of: names, places, things, free texts. Larger than any run can use up."""

from __future__ import annotations

from random import Random


def _parted(text: str, mark: str | None = None) -> list[str]:
    return text.split(mark)


FIRST = _parted(
    "Ann Bo Carla Dinesh Elif Femi Greta Hugo Ines Jonas Kemal Lina Mara Nils Olga Pia Quentin Rosa Sven Tara Uma "
    "Vera Wanda Xenia Yusuf Zoe Amir Bela Cem Dora Ewan Freya Gwen Hana Igor Juno Kai Lars Mina Noor Otto Petra"
)
LAST = _parted(
    "Lee Marsh Okafor Patel Quist Reyes Stone Tamm Unger Vale Weber Xu Young Zeller Abbott Brandt Castro Dahl Eklund "
    "Farkas Gomez Holt Ibsen Jansen Keller Lund Moreau Novak Olsen Pell Rossi Sato Toth Varga Winter"
)
ODD_NAMES = ("Tom R. Vale", "Sean O'Neil", "Anna-Lena Voss", "Joan de la Cruz", "Zoë Brandt", "J. J. Holt")
CITIES = _parted(
    "Porto Lyon Oslo Turin Ghent Bergen Graz Split Tartu Malmo Cork Leeds Basel Bremen Nantes Seville Utrecht Lodz "
    "Plovdiv Aarhus Vilnius Riga Krakow Verona Bilbao Dresden Toulouse Stavanger"
)
THINGS = _parted(
    "desk lamps|usb hubs|kites|paper rolls|office chairs|bike helmets|coffee filters|wall clocks|rain coats|tool boxes|"
    "water bottles|door handles|light bulbs|garden hoses|phone cases|picture frames|lunch boxes|camping stoves|"
    "power banks|snow shovels|screw drivers|yoga mats|tea pots|note books",
    "|",
)
TEAMS = ("sales", "design", "support", "finance", "legal", "logistics", "research", "press")
_DOING = _parted("call check renew order return review sign print update clean copy pack sort file send")
_DONE_TO = _parted(
    "the plumber|the lease|the annual report|a spare key|the old printer|the team photo|the shelf labels|the test plan|"
    "the guest list|two boxes of tea|the price list|the fire drill plan|the third draft|the blue folder",
    "|",
)
_SUBJECTS = _parted(
    "team lunch|budget review|holiday plan|new badge|server move|parking spots|open questions|launch date|"
    "visitor list|travel costs|office keys|weekly numbers|road map 2|room 14",
    "|",
)


def person(random: Random, *, odd: float = 0.04) -> str:
    """Return a name; now and then one with an initial, a hyphen or an apostrophe."""
    if random.random() < odd:
        return random.choice(ODD_NAMES)
    return f"{random.choice(FIRST)} {random.choice(LAST)}"


def people(random: Random, count: int, *, odd: float = 0.04) -> list[str]:
    """Return different names."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[person(random, odd=odd)] = None
    return list(found)


def errand(random: Random) -> str:
    """Return a free text that says what to do, such as "renew the lease"."""
    return f"{random.choice(_DOING)} {random.choice(_DONE_TO)}"


def subject(random: Random) -> str:
    """Return a free text that names a subject, such as "budget review"."""
    return random.choice(_SUBJECTS)


def address(name: str, host: str) -> str:
    """Return the e-mail address of a person."""
    letters = "".join(letter if letter.isalnum() else "." for letter in name.casefold().replace("'", ""))
    return ".".join(part for part in letters.split(".") if part) + f"@{host}"
