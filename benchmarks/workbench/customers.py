"""The customer relationship manager: customers, each assigned to an employee."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmarks.workbench.declaring import declare, not_a, text
from benchmarks.workbench.table import Row, Table
from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json

STATUSES = ("Qualified", "Won", "Lost", "Lead", "Proposal")
PRODUCTS = ("Software", "Hardware", "Services", "Consulting", "Training")
CONTAINED = ("customer_name", "customer_email", "product_interest", "status", "assigned_to_email")
"""Fields that a search matches by a part of them."""
DATES = ("last_contact_date", "follow_up_by")
COLUMNS = (
    "customer_id",
    "assigned_to_email",
    "customer_name",
    "customer_email",
    "customer_phone",
    "last_contact_date",
    "product_interest",
    "status",
    "follow_up_by",
    "notes",
)
FIELDS = COLUMNS[1:]
DAY = 'Format: "YYYY-MM-DD".'

NAME = text("Name of the customer.")
EMAIL = text("Email address of the customer.")
PRODUCT = text("Product that the customer is interested in.", PRODUCTS)
STATUS = text("Status of the customer.", STATUSES)
ASSIGNED = text("Email address of the employee whom the customer is assigned to.")
CUSTOMER_ID = text("8-digit id of the customer.")

SEARCH = declare(
    "customer_relationship_manager_search_customers",
    "Returns the customers that match all given arguments; at least one is needed.",
    {
        "customer_name": NAME,
        "customer_email": EMAIL,
        "product_interest": PRODUCT,
        "status": STATUS,
        "assigned_to_email": ASSIGNED,
        "last_contact_date_min": text(f"Contacted last on or after this day. {DAY}"),
        "last_contact_date_max": text(f"Contacted last on or before this day. {DAY}"),
        "follow_up_by_min": text(f"To be followed up on or after this day. {DAY}"),
        "follow_up_by_max": text(f"To be followed up on or before this day. {DAY}"),
    },
)
UPDATE = declare(
    "customer_relationship_manager_update_customer",
    "Changes one field of a customer.",
    {
        "customer_id": CUSTOMER_ID,
        "field": text("Field to change.", FIELDS),
        "new_value": text("New value of the field; a status or a product in its exact spelling."),
    },
    effect="write",
    required=["customer_id", "field", "new_value"],
)
ADD = declare(
    "customer_relationship_manager_add_customer",
    "Adds a customer, and returns the new id.",
    {
        "customer_name": NAME,
        "assigned_to_email": ASSIGNED,
        "status": STATUS,
        "customer_email": EMAIL,
        "customer_phone": text("Phone number of the customer."),
        "last_contact_date": text(f"Day of the last contact. {DAY}"),
        "product_interest": PRODUCT,
        "notes": text("Notes about the customer."),
        "follow_up_by": text(f"Day of the next contact. {DAY}"),
    },
    effect="write",
    required=["customer_name", "assigned_to_email", "status"],
)
DELETE = declare(
    "customer_relationship_manager_delete_customer",
    "Deletes a customer.",
    {"customer_id": CUSTOMER_ID},
    effect="write",
    required=["customer_id"],
)


class Customers:
    """The customers, and the tools on them."""

    NAME: ClassVar[str] = "customer_relationship_manager"
    FILE: ClassVar[str] = "customer_relationship_manager_data.csv"

    def __init__(self, customers: Table | None = None) -> None:
        self.customers = customers or Table("customer_id", COLUMNS)

    @classmethod
    def read(cls, path: Path) -> Customers:
        """Read the customers."""
        return cls(Table.read(path, "customer_id", COLUMNS))

    def copy(self) -> Customers:
        """Return customers of their own."""
        return Customers(self.customers.copy())

    def snapshot(self) -> Json:
        """Return the customers."""
        return [list[Json](row) for row in self.customers.snapshot()]

    def tools(self) -> list[HostTool]:
        """Return the tools of the customer relationship manager."""
        return [
            HostTool(SEARCH, self.search_customers),
            HostTool(UPDATE, self.update_customer),
            HostTool(ADD, self.add_customer),
            HostTool(DELETE, self.delete_customer),
        ]

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the names of customers, the products and the statuses."""
        names = self.customers.values("customer_name")
        return {"customer_name": names, "product_interest": PRODUCTS, "status": STATUSES}

    def search_customers(self, **wanted: str | None) -> list[Row] | str:
        """Return the customers that match all arguments."""
        given = {name: value for name, value in wanted.items() if value}
        unknown = set(given) - set(SEARCH.argument_names)
        if unknown:
            raise TypeError(f"search_customers has no arguments {sorted(unknown)}")
        if not given:
            return "No search parameters provided. Please provide at least one parameter."
        return self.customers.where(lambda row: all(_holds(row, name, value) for name, value in given.items()))

    def update_customer(self, customer_id: str = "", field: str = "", new_value: str = "") -> str:
        """Change a field of a customer."""
        if not customer_id or not field or not new_value:
            return "Customer ID, field, or new value not provided."
        if self.customers.get(customer_id) is None:
            return "Customer not found."
        if field not in FIELDS:
            return not_a("Field", FIELDS)
        for name, choices in (("status", STATUSES), ("product_interest", PRODUCTS)):
            if field == name and new_value not in choices:
                return not_a(name, choices)
        self.customers.update(customer_id, field, new_value.lower() if field.endswith("_email") else new_value)
        return "Customer updated successfully."

    def add_customer(
        self, customer_name: str = "", assigned_to_email: str = "", status: str = "", **others: str | None
    ) -> str:
        """Add a customer."""
        unknown = set(others) - set(ADD.argument_names)
        if unknown:
            raise TypeError(f"add_customer has no arguments {sorted(unknown)}")
        if not customer_name or not assigned_to_email or not status:
            return "Please provide all required fields: customer_name, assigned_to_email, status."
        address = (others.get("customer_email") or "").lower()
        assigned = {"customer_name": customer_name, "assigned_to_email": assigned_to_email.lower(), "status": status}
        return self.customers.add({**others, "customer_email": address, **assigned})

    def delete_customer(self, customer_id: str = "") -> str:
        """Delete a customer."""
        if self.customers.get(customer_id) is None:
            return "Customer not found."
        self.customers.delete(customer_id)
        return "Customer deleted successfully."


def _holds(row: Row, argument: str, value: str) -> bool:
    if argument in CONTAINED:
        return value.lower() in row[argument].lower()
    field, bound = argument.rsplit("_", 1)
    # A customer without the date is in no range, as a missing value compares to nothing.
    return bool(row[field]) and (row[field] >= value if bound == "min" else row[field] <= value)
