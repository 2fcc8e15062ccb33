"""`Theme`: what a planted agent's records are called: nouns, fields, statuses, verbs, the form of ids."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Theme:
    """One kind of record of a world, with the names that its tools give to everything."""

    noun: str
    plural: str
    owner: str
    """The field that says whose a record is."""
    amount: str
    count: str
    day: str
    statuses: tuple[str, ...]
    """The first is the one that policies look for."""
    verb: str
    past: str
    opposite: str
    owned_by_places: bool = False
    key: str = "id"
    prefix: str = "A-"
    digits: int = 4
    host: str = "example.com"
    wrapped: bool = False
    """True where a person is found in a list of one, not alone."""

    @property
    def status(self) -> str:
        """The status that policies look for."""
        return self.statuses[0]

    def fill(self, template: str) -> str:
        """Return a wording with the theme's words in the places `[noun]`, `[plural]`, `[verb]` and so on."""
        for name in ("noun", "plural", "verb", "past", "opposite", "amount", "status", "count", "day", "owner"):
            template = template.replace(f"[{name}]", str(getattr(self, name)).replace("_", " "))
        return template[:1].upper() + template[1:]


_KINDS = (
    Theme("order", "orders", "customer", "total", "items", "due_date", ("open", "shipped", "cancelled"),
          "cancel", "cancelled", "keep"),
    Theme("ticket", "tickets", "assignee", "effort", "comments", "deadline", ("open", "blocked", "closed"),
          "close", "closed", "reopen"),
    Theme("invoice", "invoices", "client", "amount", "lines", "due", ("unpaid", "paid", "void"),
          "approve", "approved", "reject"),
    Theme("booking", "bookings", "guest", "price", "nights", "arrival", ("confirmed", "waiting", "dropped"),
          "cancel", "cancelled", "extend"),
    Theme("shipment", "shipments", "receiver", "weight", "parcels", "eta", ("packed", "sent", "lost"),
          "hold", "held", "release"),
    Theme("loan", "loans", "member", "fee", "books", "return_by", ("running", "late", "returned"),
          "renew", "renewed", "end"),
    Theme("contract", "contracts", "partner", "value", "pages", "ends_on", ("signed", "draft", "expired"),
          "archive", "archived", "restore"),
    Theme("appointment", "appointments", "patient", "minutes", "forms", "date", ("planned", "moved", "done"),
          "confirm", "confirmed", "decline"),
    Theme("claim", "claims", "holder", "damage", "documents", "filed_on", ("new", "assessed", "settled"),
          "escalate", "escalated", "drop"),
    Theme("machine", "machines", "site", "load", "errors", "serviced_on", ("running", "idle", "broken"),
          "stop", "stopped", "start", owned_by_places=True),
    Theme("permit", "permits", "city", "cost", "stamps", "valid_until", ("valid", "pending", "refused"),
          "extend", "extended", "withdraw", owned_by_places=True),
)  # fmt: skip
_PREFIXES = ("A-", "T", "INV", "X-", "", "K", "ref", "N-0")


def draw_theme(random: Random) -> Theme:
    """Return a theme with ids of a random form."""
    kind = random.choice(_KINDS)
    key = random.choice(("id", f"{kind.noun}_id", "number", "ref"))
    return Theme(
        kind.noun, kind.plural, kind.owner, kind.amount, kind.count, kind.day, kind.statuses,
        kind.verb, kind.past, kind.opposite, kind.owned_by_places,
        key=key,
        prefix=random.choice(_PREFIXES),
        digits=random.choice((2, 3, 4, 5)),
        host=random.choice(("example.com", "corp.example", "mail.example.org")),
        wrapped=random.random() < 0.4,
    )  # fmt: skip
