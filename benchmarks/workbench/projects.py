"""The project boards: tasks in lists, each assigned to an employee."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmarks.workbench.declaring import declare, not_a, text
from benchmarks.workbench.table import Row, Table
from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json

LISTS = ("Backlog", "In Progress", "In Review", "Completed")
BOARDS = ("Back end", "Front end", "Design")
COLUMNS = ("task_id", "task_name", "assigned_to_email", "list_name", "due_date", "board")
FIELDS = COLUMNS[1:]
TASK_ID = text("8-digit id of the task.")
DETAILS = {
    "task_name": text("Name of the task."),
    "assigned_to_email": text("Email address of the employee whom the task is assigned to."),
    "list_name": text("List that the task is in.", LISTS),
    "due_date": text('Day on which the task is due. Format: "YYYY-MM-DD".'),
    "board": text("Board that the task is on.", BOARDS),
}

INFORMATION = declare(
    "project_management_get_task_information_by_id",
    "Returns one field of a task, as an object.",
    {"task_id": TASK_ID, "field": text("Field to return.", COLUMNS)},
    required=["task_id", "field"],
)
SEARCH = declare(
    "project_management_search_tasks",
    "Returns the tasks that match all given arguments; at least one is needed.",
    DETAILS,
)
CREATE = declare(
    "project_management_create_task",
    "Creates a task, and returns its id.",
    DETAILS,
    effect="write",
    required=FIELDS,
)
DELETE = declare(
    "project_management_delete_task",
    "Deletes a task.",
    {"task_id": TASK_ID},
    effect="write",
    required=["task_id"],
)
UPDATE = declare(
    "project_management_update_task",
    "Changes one field of a task.",
    {
        "task_id": TASK_ID,
        "field": text("Field to change.", FIELDS),
        "new_value": text("New value of the field; a list or a board in its exact spelling."),
    },
    effect="write",
    required=["task_id", "field", "new_value"],
)


class Projects:
    """The tasks, and the tools on them."""

    NAME: ClassVar[str] = "project_management"
    FILE: ClassVar[str] = "project_tasks.csv"

    def __init__(self, tasks: Table | None = None) -> None:
        self.tasks = tasks or Table("task_id", COLUMNS)

    @classmethod
    def read(cls, path: Path) -> Projects:
        """Read the tasks."""
        return cls(Table.read(path, "task_id", COLUMNS))

    def copy(self) -> Projects:
        """Return boards of their own."""
        return Projects(self.tasks.copy())

    def snapshot(self) -> Json:
        """Return the tasks."""
        return [list[Json](row) for row in self.tasks.snapshot()]

    def tools(self) -> list[HostTool]:
        """Return the tools of the project boards."""
        return [
            HostTool(INFORMATION, self.get_task_information_by_id),
            HostTool(SEARCH, self.search_tasks),
            HostTool(CREATE, self.create_task),
            HostTool(DELETE, self.delete_task),
            HostTool(UPDATE, self.update_task),
        ]

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the names of tasks, the lists and the boards."""
        return {"task_name": self.tasks.values("task_name"), "list_name": LISTS, "board": BOARDS}

    def get_task_information_by_id(self, task_id: str = "", field: str = "") -> Row | str:
        """Return one field of a task."""
        task = self.tasks.get(task_id)
        if task is None:
            return "Task not found."
        return {field: task[field]} if field in task else "Field not found."

    def search_tasks(
        self,
        task_name: str | None = None,
        assigned_to_email: str | None = None,
        list_name: str | None = None,
        due_date: str | None = None,
        board: str | None = None,
    ) -> list[Row] | str:
        """Return the tasks that match all arguments; capitals count, as in the original."""
        values = (task_name, assigned_to_email, list_name, due_date, board)
        given = {name: value for name, value in zip(FIELDS, values, strict=True) if value}
        if not given:
            return "No search parameters provided."
        return self.tasks.where(lambda task: all(value in task[name] for name, value in given.items()))

    def create_task(
        self, task_name: str = "", assigned_to_email: str = "", list_name: str = "", due_date: str = "", board: str = ""
    ) -> str:
        """Create a task."""
        values = (task_name, assigned_to_email.lower(), list_name, due_date, board)
        if not all(values):
            return "Missing task details."
        task: dict[str, str] = dict(zip(FIELDS, values, strict=True))
        return next(filter(None, (self._problem(*item) for item in task.items())), "") or self.tasks.add(task)

    def delete_task(self, task_id: str = "") -> str:
        """Delete a task."""
        if self.tasks.get(task_id) is None:
            return "Task not found."
        self.tasks.delete(task_id)
        return "Task deleted successfully."

    def update_task(self, task_id: str = "", field: str = "", new_value: str = "") -> str:
        """Change a field of a task."""
        if not task_id or not field or not new_value:
            return "Task ID, field, or new value not provided."
        if self.tasks.get(task_id) is None:
            return "Task not found."
        value = new_value.lower() if field == "assigned_to_email" else new_value
        problem = self._problem(field, value)
        if not problem:
            self.tasks.update(task_id, field, value)
        return problem or "Task updated successfully."

    def _problem(self, field: str, value: str) -> str:
        if field not in FIELDS:
            return not_a("Field", FIELDS)
        if field == "assigned_to_email" and value not in map(str.lower, self.tasks.values(field)):
            return "Assignee email not valid. Please choose from the list of team members."
        choices = {"list_name": LISTS, "board": BOARDS}.get(field)
        return not_a(field, choices) if choices and value not in choices else ""
