"""The tools of planted agents, by role: what each is called, takes and does depends on the theme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from seglam_agents.records.record import Json
from seglam_agents.records.tools import Effect, Tool
from seglam_agents.testing.planted.themes import Theme
from seglam_agents.testing.planted.world import Row, World, Write, one, text

Run = Callable[[World, Mapping[str, Json]], Json]
LEVELS = ("low", "medium", "high", "off")
PRIORITIES = ("P1", "P2", "P3", "P4")


@dataclass(frozen=True, slots=True)
class PlantedTool:
    """A tool with its function on a world, and what the roles of its arguments are called."""

    tool: Tool
    arguments: Mapping[str, str]
    """Role of the argument to its name."""
    run: Run
    """Takes its arguments by role."""

    def call(self, world: World, arguments: Mapping[str, Json]) -> Json:
        """Call it with arguments by name, and note what it writes.

        Raises:
            LookupError: nothing is there under such a key.
            TypeError: an argument is missing or unknown.
            ValueError: an argument cannot be used.
        """
        if set(arguments) != set(self.arguments.values()):
            raise TypeError(f"{self.tool.name} takes {', '.join(self.arguments.values()) or 'no arguments'}")
        if self.tool.effect == "write":
            world.writes.append(Write(self.tool.name, dict(arguments)))
        return self.run(world, {role: arguments[name] for role, name in self.arguments.items()})


def draw_tools(theme: Theme, random: Random) -> dict[str, PlantedTool]:
    """Return every tool that policies of a theme may use, by role."""
    noun, plural, key = theme.noun, theme.plural, theme.key
    name = random.choice(("name", "person", "full_name"))
    item = random.choice(("item", "product", "article"))
    to = random.choice(("to", "recipient", "email"))
    title = random.choice(("title", "summary", "subject"))
    lookup = random.choice(("find", "search", "get"))
    source = random.choice(("source", "from"))
    spelled_as = random.choice(_STYLES)

    def make(
        role: str, called: str, effect: Effect, arguments: Mapping[str, tuple[str, Row]], run: Run
    ) -> tuple[str, PlantedTool]:
        schema: dict[str, Json] = {
            "type": "object",
            "properties": dict(arguments.values()),
            "required": [spelled for spelled, _ in arguments.values()],
        }
        tool = Tool(name=spelled_as(called), description=called.replace("_", " "), parameters=schema, effect=effect)
        return role, PlantedTool(tool, {role: spelled for role, (spelled, _) in arguments.items()}, run)

    return dict(
        [
            make("list", f"list_{plural}", "read", {"owner": (theme.owner, _TEXT)}, _list),
            make("all", f"all_{plural}", "read", {}, lambda world, _: [*world.rows]),
            make("get", f"get_{noun}", "read", {"key": (key, _TEXT)}, _get),
            make("on", f"{plural}_on", "read", {"day": ("day", _TEXT)}, _on),
            make("between", f"{plural}_between", "read", {"start": ("start", _TEXT), "end": ("end", _TEXT)}, _between),
            make("person", f"{lookup}_person", "read", {"name": (name, _TEXT)}, _person),
            make("of", f"{plural}_by_person", "read", {"person": ("person_id", _TEXT)}, _of),
            make("team", "team_members", "read", {"team": ("team", _TEXT)}, _team),
            make("query", "run_sql", "read", {"sql": ("query", _TEXT)}, _query),
            make("reading", "get_weather", "read", {"place": ("city", _TEXT)}, _reading),
            make("stock", "get_stock", "read", {"item": (item, _TEXT)}, _stock),
            make("report", "get_report", "read", {"period": ("period", _TEXT)}, _report),
            make("act", f"{theme.verb}_{noun}", "write", {"key": (key, _TEXT)}, _noted(theme)),
            make("undo", f"{theme.opposite}_{noun}", "write", {"key": (key, _TEXT)}, _noted(theme)),
            make("update", f"update_{noun}", "write",
                 {"key": (key, _TEXT), "field": ("field", _TEXT), "value": ("value", {})}, _noted(theme)),
            make("move", f"move_{noun}", "write", {"key": (key, _TEXT), "target": ("sprint", _WHOLE)}, _noted(theme)),
            make("note", "add_note", "write", {"key": (key, _TEXT), "text": ("text", _TEXT)}, _noted(theme)),
            make("message", "send_email", "write",
                 {"to": (to, _TEXT), "subject": ("subject", _TEXT), "body": ("body", _TEXT)}, _sent),
            make("create", f"create_{noun}", "write",
                 {"title": (title, _TEXT), "priority": ("priority", {"type": "string", "enum": [*PRIORITIES]})},
                 _created),
            make("open", f"open_{noun}", "write", {"owner": (theme.owner, _TEXT), "count": (theme.count, _WHOLE)},
                 _created),
            make("remind", "set_reminder", "write", {"day": ("day", _TEXT), "text": ("text", _TEXT)}, _done),
            make("level", "set_heating", "write",
                 {"place": ("site", _TEXT), "level": ("level", {"type": "string", "enum": [*LEVELS]})}, _done),
            make("put", "place_furniture", "write",
                 {"room": ("room", _WHOLE), "count": ("count", _WHOLE), "what": ("what", _TEXT)}, _done),
            make("order", "order_goods", "write", {"item": (item, _TEXT), "count": ("quantity", _WHOLE)}, _ordered),
            make("price", "set_price", "write", {"item": (item, _TEXT), "price": ("price", _NUMBER)}, _done),
            make("transfer", "transfer_money", "write",
                 {"amount": ("amount", _NUMBER), "source": (source, _TEXT), "target": ("target", _TEXT)}, _done),
            make("code", "set_category", "write", {"key": (key, _TEXT), "code": ("code", _TEXT)}, _noted(theme)),
        ]
    )  # fmt: skip


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


_STYLES: tuple[Callable[[str], str], ...] = (
    *(str,) * 6,
    lambda name: name.replace("_", "-"),
    _camel,
    lambda name: name.replace("_", ".", 1),
    # Names that are Python's own or those of helpers, such as `list`, `open` and `first`.
    lambda name: name.split("_")[0] if name.split("_")[0] in ("list", "open", "all") else name,
)
"""How an agent spells the names of its tools: mostly as identifiers."""
_TEXT: Row = {"type": "string"}
_WHOLE: Row = {"type": "integer"}
_NUMBER: Row = {"type": "number"}


def _list(world: World, a: Mapping[str, Json]) -> Json:
    return [*world.of(str(a["owner"]))]


def _get(world: World, a: Mapping[str, Json]) -> Json:
    return one(world.rows, world.theme.key, a["key"])


def _on(world: World, a: Mapping[str, Json]) -> Json:
    return [row for row in world.rows if row[world.theme.day] == a["day"]]


def _between(world: World, a: Mapping[str, Json]) -> Json:
    return [row for row in world.rows if str(a["start"]) <= text(row, world.theme.day) <= str(a["end"])]


def _person(world: World, a: Mapping[str, Json]) -> Json:
    found = one(world.people, "name", a["name"])
    return [found] if world.theme.wrapped else found


def _of(world: World, a: Mapping[str, Json]) -> Json:
    return [*world.of(text(one(world.people, "person_id", a["person"]), "name"))]


def _team(world: World, a: Mapping[str, Json]) -> Json:
    return [row for row in world.people if row["team"] == a["team"]]


def _query(world: World, a: Mapping[str, Json]) -> Json:
    return [*world.select(str(a["sql"]))]


def _reading(world: World, a: Mapping[str, Json]) -> Json:
    return one(world.readings, "city", a["place"])


def _stock(world: World, a: Mapping[str, Json]) -> Json:
    return one(world.goods, "name", a["item"])


def _report(world: World, a: Mapping[str, Json]) -> Json:
    # Any number will do, as long as the same period of the same data has the same.
    seed = sum(ord(letter) * (place + 3) for place, letter in enumerate(str(a["period"])))
    return {"period": a["period"], "total": (seed * 37 + len(world.rows) * 11) % 900 + 50}


def _noted(theme: Theme) -> Run:
    def run(world: World, a: Mapping[str, Json]) -> Json:
        one(world.rows, theme.key, a["key"])
        return {"ok": True, theme.key: a["key"]}

    return run


def _done(world: World, a: Mapping[str, Json]) -> Json:
    return {"ok": True}


def _sent(world: World, a: Mapping[str, Json]) -> Json:
    return {"message_id": f"m-{_number(world):04}", "to": a["to"]}


def _created(world: World, a: Mapping[str, Json]) -> Json:
    return {world.theme.key: f"{world.theme.prefix}{_number(world)}"}


def _ordered(world: World, a: Mapping[str, Json]) -> Json:
    return {"order_no": f"O{_number(world)}", "quantity": a["count"]}


def _number(world: World) -> int:
    world.next_number += 1
    return world.next_number - 1
