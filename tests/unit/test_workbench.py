"""WorkBench as an environment: its tools, its tasks, and the model that the ground truth plays."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks.errors import UsageError
from benchmarks.workbench import check as checking
from benchmarks.workbench.check import check
from benchmarks.workbench.mentions import find_mentions
from benchmarks.workbench.metrics import metric_period, metric_reads
from benchmarks.workbench.periods import Period, named_days, periods
from benchmarks.workbench.player import DONE, cost, execute, next_step, plan, run
from benchmarks.workbench.truth import Action, Task, domains_with_tasks, parse_action, read_tasks
from benchmarks.workbench.world import World, same_state
from seglam_agents.cache import ReasoningCache
from seglam_agents.records.outcome import Call, Final
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ModelStep, ToolStep

CRM = "customer_relationship_manager"
FIND = "company_directory_find_email_address"
MAYA, OTTO = "maya.berg@example.com", "otto.lind@example.com"
DIRECTORY = [MAYA, OTTO]
EVENTS = [
    {"event_id": "00000007", "event_name": "plumbing talk", "participant_email": MAYA, "duration": "60"}
    | {"event_start": "2023-11-29 23:30:00"},
    {"event_id": "00000003", "event_name": "roof review", "participant_email": OTTO, "duration": "30"}
    | {"event_start": "2023-12-01 09:00:00"},
    {"event_id": "00000005", "event_name": "plumbing talk", "participant_email": OTTO, "duration": "30"}
    | {"event_start": "2023-12-04 10:00:00"},
]
VISITS = [
    {"date_of_visit": day, "visitor_id": visitor, "page_views": "1", "session_duration_seconds": seconds}
    | {"traffic_source": source, "user_engaged": engaged}
    for day, visitor, seconds, source, engaged in (
        ("2023-11-27", "0001", "10", "direct", "True"),
        ("2023-11-28", "0002", "20", "referral", "False"),
        ("2023-11-28", "0001", "30", "direct", "True"),
        ("2023-11-29", "0003", "40", "social media", "False"),
    )
]
CUSTOMERS = [
    {"customer_id": key, "assigned_to_email": assigned, "customer_name": name, "customer_email": "a@b", "notes": ""}
    | {"customer_phone": "", "last_contact_date": contact, "product_interest": product, "status": status}
    | {"follow_up_by": "2023-12-10"}
    for key, assigned, name, contact, product, status in (
        ("00000021", MAYA, "Otto Stone", "2023-10-01", "Services", "Lead"),
        ("00000020", MAYA, "Ines Ferro", "2023-11-20", "Services", "Proposal"),
        ("00000022", OTTO, "Piet Vos", "", "Hardware", "Won"),
    )
]
TASKS = [
    {"task_id": key, "task_name": name, "assigned_to_email": who, "list_name": place, "board": board}
    | {"due_date": "2023-12-05"}
    for key, name, who, place, board in (
        ("00000031", "Paint the door", MAYA, "Backlog", "Front end"),
        ("00000030", "Oil the hinges", MAYA, "In Progress", "Back end"),
        ("00000032", "Draw a lamp", OTTO, "In Review", "Design"),
    )
]
EMAILS = [
    {"email_id": key, "inbox/outbox": "inbox", "sender/recipient": who, "subject": subject, "body": body}
    | {"sent_datetime": sent}
    for key, who, subject, sent, body in (
        ("00000041", MAYA, "Quarry visit", "2023-11-10 09:00:00", "Bring boots."),
        ("00000040", OTTO, "Quarry visit", "2023-11-29 18:00:00", "It rains."),
    )
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a small database of each domain."""
    (tmp_path / "email_addresses.csv").write_text("".join(f"{address}\n" for address in DIRECTORY))
    write_csv(tmp_path / "calendar_events.csv", EVENTS)
    write_csv(tmp_path / "analytics_data.csv", VISITS)
    write_csv(tmp_path / f"{CRM}_data.csv", CUSTOMERS)
    write_csv(tmp_path / "project_tasks.csv", TASKS)
    write_csv(tmp_path / "emails.csv", EMAILS)
    return tmp_path


@pytest.fixture
def world(folder: Path) -> World:
    """Return the world of these databases."""
    return World.load(folder)


@pytest.fixture
def workbench(data_dir: Path) -> Path:
    """Return the folder of WorkBench, or skip."""
    if not (data_dir / "workbench").is_dir():
        pytest.skip(f"no WorkBench in {data_dir}")
    return data_dir / "workbench"


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def task(query: str, *calls: str, domains: tuple[str, ...] = ("calendar",)) -> Task:
    return Task(query, "", "", domains, tuple(parse_action(call) for call in calls))


def ids(rows: Json, key: str) -> list[Json]:
    assert isinstance(rows, list)
    return [row[key] for row in rows if isinstance(row, dict)]


def planned(world: World, query: str, *calls: str, domains: tuple[str, ...] = ("calendar",)) -> list[tuple[str, Json]]:
    made = plan(task(query, *calls, domains=domains), world).calls
    return [(call.tool, dict(call.arguments)) for call in made]


def test_every_domain_declares_its_tools_under_identifiers(world: World) -> None:
    names = [item.tool.name for item in world.tools()]
    assert len(names) == len(set(names)) == 27
    assert all(name.isidentifier() for name in names)
    assert [name for name in names if name.startswith("calendar_")] == [
        "calendar_get_event_information_by_id",
        "calendar_search_events",
        "calendar_create_event",
        "calendar_delete_event",
        "calendar_update_event",
    ]
    assert {item.tool.name for item in world.tools()} == {item.tool.name for item in World.empty().tools()}


def test_closed_sets_are_declared(world: World) -> None:
    tools = {item.tool.name: item.tool for item in world.tools()}
    plot = tools["analytics_create_plot"]
    assert plot.effect == "write"
    properties = plot.parameters["properties"]
    assert isinstance(properties, dict)
    schema = properties["plot_type"]
    assert isinstance(schema, dict) and schema["enum"] == ["bar", "line", "scatter", "histogram"]
    assert tools["analytics_total_visits_count"].effect == "read"
    assert plot.argument_names == ("time_min", "time_max", "value_to_plot", "plot_type")


def test_writes_are_exactly_what_changes_a_world(world: World) -> None:
    effects = {item.tool.name: item.tool.effect for item in world.tools()}
    verbs = ("create", "delete", "update", "add", "send", "forward", "reply")
    assert {name for name, effect in effects.items() if effect == "write"} == {
        name for name in effects if any(f"_{verb}_" in name for verb in verbs)
    }


def test_the_cache_takes_the_tools(world: World) -> None:
    with ReasoningCache(tools=world.tools()) as cache:
        assert cache.scope.agent


def test_the_directory_finds_by_a_part_of_the_address(world: World) -> None:
    find = "company_directory_find_email_address"
    assert world.call(find, {"name": "Maya"}) == [MAYA]
    assert world.call(find, {"name": "Nobody"}) == "No employee found with that name."
    assert world.call(find, {"name": ""}) == "Name not provided."


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, ["00000007", "00000003", "00000005"]),
        ({"query": "PLUMBING"}, ["00000007", "00000005"]),
        ({"query": "otto."}, ["00000003", "00000005"]),
        ({"time_min": "2023-11-30 00:00:00"}, ["00000007", "00000003", "00000005"]),
        ({"time_min": "2023-11-30 00:31:00"}, ["00000003", "00000005"]),
        ({"time_max": "2023-12-01 09:00:00"}, ["00000007", "00000003"]),
        ({"query": None, "time_min": None, "time_max": ""}, ["00000007", "00000003", "00000005"]),
    ],
)
def test_events_are_found(world: World, arguments: dict[str, Json], found: list[str]) -> None:
    assert ids(world.call("calendar_search_events", arguments), "event_id") == found


def test_events_are_created_changed_and_deleted(world: World) -> None:
    details = {"event_name": "tea", "participant_email": MAYA.upper(), "event_start": "2023-12-05 09:00:00"}
    assert world.call("calendar_create_event", {**details, "duration": "30"}) == "00000008"
    assert "not provided" in str(world.call("calendar_create_event", details))
    change = {"event_id": "00000008", "field": "event_name", "new_value": "coffee"}
    assert world.call("calendar_update_event", change) == "Event updated successfully."
    assert "not valid" in str(world.call("calendar_update_event", {**change, "field": "colour"}))
    read = "calendar_get_event_information_by_id"
    assert world.call(read, {"event_id": "00000008", "field": "event_name"}) == {"event_name": "coffee"}
    assert world.call(read, {"event_id": "00000008", "field": "participant_email"}) == {"participant_email": MAYA}
    assert world.call("calendar_delete_event", {"event_id": "00000008"}) == "Event deleted successfully."
    for tool, more in (("delete_event", {}), ("update_event", change), ("get_event_information_by_id", {})):
        assert world.call(f"calendar_{tool}", {**more, "event_id": "00000099"}) == "Event not found."


def test_figures_are_counted_per_day(world: World) -> None:
    since: dict[str, Json] = {"time_min": "2023-11-28", "time_max": "2023-11-29"}
    assert world.call("analytics_total_visits_count", {}) == {"2023-11-27": 1, "2023-11-28": 2, "2023-11-29": 1}
    assert world.call("analytics_engaged_users_count", since) == {"2023-11-28": 1, "2023-11-29": 0}
    direct = world.call("analytics_traffic_source_count", {**since, "traffic_source": "direct"})
    assert direct == {"2023-11-28": 1, "2023-11-29": 0}
    assert world.call("analytics_traffic_source_count", since) == {"2023-11-28": 2, "2023-11-29": 1}
    assert world.call("analytics_get_average_session_duration", since) == {"2023-11-28": 25.0, "2023-11-29": 40.0}
    visitor = world.call("analytics_get_visitor_information_by_id", {"visitor_id": "0001"})
    assert ids(visitor, "date_of_visit") == ["2023-11-27", "2023-11-28"]
    assert world.call("analytics_get_visitor_information_by_id", {"visitor_id": "x"}) == "Visitor not found."


def test_a_plot_is_part_of_the_state(world: World) -> None:
    before = world.copy()
    plot = {"time_min": "2023-11-28", "time_max": "2023-11-29", "value_to_plot": "total_visits", "plot_type": "bar"}
    for wrong in ({"plot_type": "pie"}, {"value_to_plot": "rain"}, {"time_min": ""}):
        world.call("analytics_create_plot", {**plot, **wrong})
    assert same_state(before, world)
    path = world.call("analytics_create_plot", plot)
    assert path == "plots/2023-11-28_2023-11-29_total_visits_bar.png"
    assert not same_state(before, world)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"assigned_to_email": MAYA}, ["00000021", "00000020"]),
        ({"product_interest": "services", "status": "Proposal"}, ["00000020"]),
        ({"customer_name": "otto"}, ["00000021"]),
        ({"last_contact_date_max": "2023-11-01"}, ["00000021"]),
        ({"last_contact_date_min": "2023-11-01"}, ["00000020"]),
        ({"follow_up_by_min": "2023-12-11"}, []),
    ],
)
def test_customers_are_found(world: World, arguments: dict[str, Json], found: list[str]) -> None:
    assert ids(world.call(f"{CRM}_search_customers", arguments), "customer_id") == found


def test_customers_are_added_changed_and_deleted(world: World) -> None:
    assert "at least one" in str(world.call(f"{CRM}_search_customers", {}))
    new = {"customer_name": "Kim Zell", "assigned_to_email": OTTO, "status": "Lead"}
    assert world.call(f"{CRM}_add_customer", new) == "00000023"
    assert "required" in str(world.call(f"{CRM}_add_customer", {**new, "status": ""}))
    change = {"customer_id": "00000023", "field": "status", "new_value": "Won"}
    assert world.call(f"{CRM}_update_customer", change) == "Customer updated successfully."
    for wrong in ({"new_value": "won"}, {"field": "colour"}, {"customer_id": "00000099"}, {"new_value": ""}):
        assert "successfully" not in str(world.call(f"{CRM}_update_customer", {**change, **wrong}))
    assert ids(world.call(f"{CRM}_search_customers", {"status": "Won"}), "customer_id") == ["00000022", "00000023"]
    assert world.call(f"{CRM}_delete_customer", {"customer_id": "00000023"}) == "Customer deleted successfully."
    assert world.call(f"{CRM}_delete_customer", {"customer_id": "00000023"}) == "Customer not found."
    for tool in ("search_customers", "add_customer"):
        with pytest.raises(TypeError):
            world.call(f"{CRM}_{tool}", {"colour": "red"})


def test_tasks_are_found_created_changed_and_deleted(world: World) -> None:
    prefix = "project_management"
    found = world.call(f"{prefix}_search_tasks", {"assigned_to_email": MAYA, "list_name": "In Progress"})
    assert ids(found, "task_id") == ["00000030"]
    assert world.call(f"{prefix}_search_tasks", {}) == "No search parameters provided."
    new = {"task_name": "Sand it", "assigned_to_email": OTTO, "list_name": "Backlog", "due_date": "2023-12-06"}
    assert world.call(f"{prefix}_create_task", new) == "Missing task details."
    assert "not valid" in str(world.call(f"{prefix}_create_task", {**new, "board": "Cellar"}))
    assert world.call(f"{prefix}_create_task", {**new, "board": "Design"}) == "00000033"
    change = {"task_id": "00000033", "field": "list_name", "new_value": "Completed"}
    assert world.call(f"{prefix}_update_task", change) == "Task updated successfully."
    stranger = {"field": "assigned_to_email", "new_value": "x@y.z"}
    for wrong in ({"new_value": "Done"}, {"field": "colour"}, {"task_id": "00000099"}, {"field": ""}, stranger):
        assert "successfully" not in str(world.call(f"{prefix}_update_task", {**change, **wrong}))
    read = world.call(f"{prefix}_get_task_information_by_id", {"task_id": "00000033", "field": "list_name"})
    assert read == {"list_name": "Completed"}
    assert world.call(f"{prefix}_delete_task", {"task_id": "00000033"}) == "Task deleted successfully."
    assert world.call(f"{prefix}_delete_task", {"task_id": "00000033"}) == "Task not found."


def test_emails_are_found_sent_on_answered_and_deleted(world: World) -> None:
    search = "email_search_emails"
    assert ids(world.call(search, {"query": "visit maya"}), "email_id") == ["00000041"]
    assert ids(world.call(search, {"date_min": "2023-11-29", "date_max": "2023-11-29"}), "email_id") == ["00000040"]
    sent = {"recipient": OTTO.title(), "subject": "Tea", "body": "At four."}
    assert world.call("email_send_email", sent) == "Email sent successfully."
    assert "not provided" in str(world.call("email_send_email", {**sent, "body": ""}))
    assert "Invalid" in str(world.call("email_send_email", {**sent, "recipient": "otto"}))
    forward = {"email_id": "00000041", "recipient": OTTO}
    assert world.call("email_forward_email", forward) == "Email forwarded successfully."
    assert world.call("email_reply_email", {"email_id": "00000041", "body": "Yes."}) == "Email replied successfully."
    read = "email_get_email_information_by_id"
    assert world.call(read, {"email_id": "00000043", "field": "subject"}) == {"subject": "FW: Quarry visit"}
    assert world.call(read, {"email_id": "00000044", "field": "sender/recipient"}) == {"sender/recipient": MAYA}
    assert world.call(read, {"email_id": "00000042", "field": "sent_datetime"}) == {
        "sent_datetime": "2023-11-30 00:00:00"
    }
    assert world.call("email_delete_email", {"email_id": "00000042"}) == "Email deleted successfully."
    for tool, more in (("delete", {}), ("forward", {"recipient": OTTO}), ("reply", {"body": "Yes."})):
        assert world.call(f"email_{tool}_email", {"email_id": "00000099", **more}) == "Email not found."


def test_a_copy_changes_alone(world: World) -> None:
    copy = world.copy()
    copy.call("calendar_update_event", {"event_id": "00000003", "field": "duration", "new_value": "45"})
    copy.call("email_delete_email", {"email_id": "00000041"})
    assert not same_state(world, copy)
    assert same_state(world, world.copy())
    assert ids(world.call("email_search_emails", {}), "email_id") == ["00000041", "00000040"]


def test_a_result_is_no_way_into_the_database(world: World) -> None:
    before = world.copy()
    rows = world.call("calendar_search_events", {})
    assert isinstance(rows, list) and isinstance(rows[0], dict)
    rows[0]["event_name"] = "changed"
    assert same_state(world, before)


def test_the_order_of_creation_does_not_matter(world: World) -> None:
    other = world.copy()
    sent = [{"recipient": who, "subject": "Tea", "body": "At four."} for who in DIRECTORY]
    for email in sent:
        world.call("email_send_email", email)
    for email in reversed(sent):
        other.call("email_send_email", email)
    assert same_state(world, other)
    other.call("email_send_email", sent[0])
    assert not same_state(world, other)


def test_a_world_has_the_databases_that_are_there(folder: Path) -> None:
    (folder / "emails.csv").unlink()
    world = World.load(folder)
    assert "email" not in world.domains
    with pytest.raises(LookupError, match="email_send_email"):
        world.call("email_send_email", {})


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no database"):
        World.load(tmp_path)
    (tmp_path / "emails.csv").write_text("email_id,subject\n1,x\n")
    with pytest.raises(UsageError, match="lacks the columns"):
        World.load(tmp_path)


def test_a_call_is_read_without_running_it() -> None:
    action = parse_action('calendar.update_event.func(event_id="1", field="event_name", new_value="a (b), c=\\"d\\"")')
    assert action == Action(
        "calendar_update_event", {"event_id": "1", "field": "event_name", "new_value": 'a (b), c="d"'}
    )


def test_positional_arguments_get_their_names() -> None:
    assert parse_action('email.reply_email.func("1", "Yes.\nNo.")').arguments == {
        "email_id": "1",
        "body": "Yes.\nNo.",
    }


@pytest.mark.parametrize("call", ["a.b", "a.b(c=print(1))", "a.b(", "a.b(c=d)"])
def test_anything_but_a_call_with_literals_is_refused(call: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        parse_action(call)


def test_any_file_of_the_form_is_read(folder: Path) -> None:
    answer = "['calendar.delete_event.func(event_id=\"00000003\")']"
    row = {"query": "q", "answer": answer, "base_template": "b", "chosen_template": "c", "domains": "['calendar']"}
    write_csv(folder / "multi_domain_queries_and_answers.csv", [row])
    assert domains_with_tasks(folder) == ["multi_domain"]
    assert read_tasks(folder, "multi_domain") == [
        Task("q", "b", "c", ("calendar",), (Action("calendar_delete_event", {"event_id": "00000003"}),))
    ]
    write_csv(folder / "multi_domain_queries_and_answers.csv", [{**row, "answer": "'nothing'"}])
    with pytest.raises(UsageError, match="row 1 is no task"):
        read_tasks(folder, "multi_domain")
    with pytest.raises(UsageError, match="cannot read"):
        read_tasks(folder, "weather")


def test_the_longest_value_is_meant_in_its_database_spelling() -> None:
    boards = {"board": ["Back end", "Front end", "end", "Design"]}
    found = find_mentions("move the back-end tasks in front ends to design", boards)
    assert [(mention.value, mention.target) for mention in found] == [
        ("Back end", False),
        ("Front end", False),
        ("Design", True),
    ]


def test_owners_are_told_from_others_and_words_from_their_parts() -> None:
    vocabulary = {"name": ["otto", "maya"], "status": ["Won", "Lead"]}
    found = find_mentions("Otto's leads won't go to Maya, a mayan", vocabulary)
    assert [(mention.text, mention.owner, mention.target) for mention in found] == [
        ("Otto", True, False),
        ("leads", False, False),
        ("Maya", False, True),
    ]


@pytest.mark.parametrize(
    ("request_", "past", "days"),
    [
        ("on December 13", False, [("2023-12-13", "2023-12-13")]),
        ("on Sep 2nd", True, [("2023-09-02", "2023-09-02")]),
        ("since 2023-11-10", True, [("2023-11-10", "None")]),
        ("on Friday", False, [("2023-12-01", "2023-12-01")]),
        ("on Thursday", False, [("2023-12-07", "2023-12-07")]),
        ("on Friday", True, [("2023-11-24", "2023-11-24")]),
        ("last Friday", False, [("2023-11-24", "2023-11-24")]),
        ("before tomorrow", False, [("None", "2023-12-01")]),
        ("my next meeting", False, [("2023-11-30", "None")]),
        ("the next meeting on Monday", False, [("2023-12-04", "2023-12-04")]),
        ("in the last 2 weeks", True, [("2023-11-16", "2023-11-29")]),
        ("who haven't replied in 3 weeks", True, [("None", "2023-11-09")]),
        ("you may 40 times", True, []),
        ("the next email", True, []),
    ],
)
def test_periods_are_dates(request_: str, past: bool, days: list[tuple[str, str]]) -> None:
    assert [(str(period.start), str(period.end)) for period in periods(request_, past=past)] == days


def test_a_free_slot_is_looked_for_on_its_first_day() -> None:
    (period,) = periods("my first free slot from tomorrow", past=False)
    assert (period.free, period.start) == (True, period.end)
    assert isinstance(period, Period)


@pytest.mark.parametrize(
    ("request_", "days"),
    [
        ("monday than the previous monday", ["2023-11-27", "2023-11-20"]),
        ("thursday than the previous thursday", ["2023-11-23", "2023-11-16"]),
        ("since the previous monday", ["2023-11-27"]),
    ],
)
def test_the_previous_weekday_is_the_one_before_the_other(request_: str, days: list[str]) -> None:
    assert [str(day) for day in named_days(request_, past=True)] == days


@pytest.mark.parametrize(
    ("request_", "period"),
    [
        ("if visits fell since November 5", ("2023-11-05", "2023-11-29")),
        ("most visits on November 5", ("2023-11-05", "2023-11-05")),
        ("if visits fell between November 9 and November 5", ("2023-11-05", "2023-11-09")),
        ("more visits over the last 1 weeks", ("2023-11-23", "2023-11-29")),
    ],
)
def test_figures_are_read_over_the_period(request_: str, period: tuple[str, str]) -> None:
    assert tuple(metric_period(request_).values()) == period


def test_figures_are_read_only_for_a_comparison() -> None:
    assert metric_reads("plot total visits since November 5", looks=False) == []
    compared = metric_reads("if engaged users grew more than visits since Monday, plot both", looks=False)
    assert [call.tool for call in compared] == ["analytics_engaged_users_count", "analytics_total_visits_count"]
    sources = metric_reads("more traffic from referral than direct?", looks=False)
    assert [call.arguments for call in sources] == [{"traffic_source": "referral"}, {"traffic_source": "direct"}]
    assert len(metric_reads("plot the least popular traffic source", looks=False)) == 4


def test_a_person_is_looked_up_before_the_calendar(world: World) -> None:
    delete = 'calendar.delete_event.func(event_id="00000005")'
    assert planned(world, "Cancel my meeting with otto on December 4", delete) == [
        (FIND, {"name": "otto"}),
        (
            "calendar_search_events",
            {"query": OTTO, "time_min": "2023-12-04 00:00:00", "time_max": "2023-12-04 23:59:59"},
        ),
        ("calendar_delete_event", {"event_id": "00000005"}),
    ]


def test_what_is_written_is_not_searched_for(world: World) -> None:
    update = 'calendar.update_event.func(event_id="00000003", field="event_name", new_value="plumbing talk")'
    search = planned(world, "The next roof review becomes a plumbing talk", update)[0]
    assert search == ("calendar_search_events", {"query": "roof review", "time_min": "2023-11-30 00:00:00"})


def test_nothing_is_searched_for_a_plain_creation(world: World) -> None:
    create = (
        f'calendar.create_event.func(event_name="tea", participant_email="{MAYA}", '
        'event_start="2023-12-08 15:30:00", duration="30")'
    )
    plain = planned(world, "Create tea on December 8 at 3:30 with maya", create)
    assert [tool for tool, _ in plain] == [FIND, "calendar_create_event"]
    asking = planned(world, "If I haven't met maya in the last 2 days, plan tea in a free slot tomorrow", create)
    assert [arguments for tool, arguments in asking if tool == "calendar_search_events"] == [
        {"query": MAYA, "time_min": "2023-11-28 00:00:00", "time_max": "2023-11-29 23:59:59"},
        {"time_min": "2023-12-01 00:00:00", "time_max": "2023-12-01 23:59:59"},
    ]


def test_who_decides_to_do_nothing_has_looked(world: World) -> None:
    assert planned(world, "Cancel future plumbing talk meetings with maya") == [
        (FIND, {"name": "maya"}),
        ("calendar_search_events", {"query": "plumbing talk", "time_min": "2023-11-30 00:00:00"}),
    ]


def test_owners_and_each_status_are_searched_for(world: World) -> None:
    update = f'{CRM}.update_customer.func(customer_id="00000021", field="assigned_to_email", new_value="{OTTO}")'
    request = "Give Otto all of Maya's service customers that are leads or in proposal"
    calls = planned(world, request, update, domains=(CRM,))
    assert calls[:2] == [(FIND, {"name": "Otto"}), (FIND, {"name": "Maya"})]
    assert [arguments for _, arguments in calls[2:4]] == [
        {"assigned_to_email": MAYA, "product_interest": "Services", "status": "Lead"},
        {"assigned_to_email": MAYA, "product_interest": "Services", "status": "Proposal"},
    ]


def test_a_name_within_a_customers_name_is_no_employee(world: World) -> None:
    delete = f'{CRM}.delete_customer.func(customer_id="00000021")'
    assert planned(world, "Delete Otto Stone from the crm", delete, domains=(CRM,)) == [
        (f"{CRM}_search_customers", {"customer_name": "Otto Stone"}),
        (f"{CRM}_delete_customer", {"customer_id": "00000021"}),
    ]


def test_a_search_that_missed_is_followed_by_a_broader_one(world: World) -> None:
    update = f'{CRM}.update_customer.func(customer_id="00000022", field="notes", new_value="x")'
    searches = planned(world, "Note x for otto's hardware leads", update, domains=(CRM,))[1:-1]
    assert [arguments for _, arguments in searches] == [
        {"assigned_to_email": OTTO, "product_interest": "Hardware", "status": "Lead"},
        {"assigned_to_email": OTTO, "product_interest": "Hardware"},
    ]


def test_tasks_and_emails_are_searched_for_in_the_same_way(world: World) -> None:
    update = f'project_management.update_task.func(task_id="00000030", field="assigned_to_email", new_value="{OTTO}")'
    request = "Move maya's in-progress tasks on the backend board to otto"
    tasks = planned(world, request, update, domains=("project_management",))
    assert tasks[2] == (
        "project_management_search_tasks",
        {"assigned_to_email": MAYA, "list_name": "In Progress", "board": "Back end"},
    )
    forward = f'email.forward_email.func(email_id="00000041", recipient="{OTTO}")'
    emails = planned(world, "Forward maya's email about 'Quarry visit' to otto", forward, domains=("email",))
    assert [tool for tool, _ in emails] == [FIND, FIND, "email_search_emails", "email_forward_email"]
    assert emails[2][1] == {"query": f"{MAYA} Quarry visit"}


def test_several_domains_are_read_each_by_its_own_rule(world: World) -> None:
    send = f'email.send_email.func(recipient="{OTTO}", subject="Visits", body="They fell. Tell Maya about her leads.")'
    request = "If total visits were less than 5 since Monday, email otto 'They fell. Tell Maya about her leads.'"
    calls = planned(world, request, send, domains=("analytics", "email"))
    assert [tool for tool, _ in calls] == [FIND, "analytics_total_visits_count", "email_send_email"]


def test_a_run_has_a_model_call_a_step_and_one_for_the_answer(world: World) -> None:
    played = run(task("Cancel my next meeting with otto", 'calendar.delete_event.func(event_id="00000003")'), world)
    assert (played.model_calls, played.trace.answer, len(played.trace.calls)) == (4, DONE, 3)
    assert [step.kind for step in played.trace.steps] == ["model", "tool"] * 3 + ["model"]
    assert ids(world.call("calendar_search_events", {}), "event_id") == ["00000007", "00000005"]
    costs = [step.usage for step in played.trace.steps if isinstance(step, ModelStep)]
    assert [usage.calls for usage in costs] == [1] * 4
    assert costs == sorted(costs, key=lambda usage: usage.input_tokens)
    assert all(usage.output_tokens > 0 for usage in costs)


def test_it_goes_on_where_somebody_else_stopped(world: World) -> None:
    job = task("Cancel my next meeting with otto", 'calendar.delete_event.func(event_id="00000003")')
    live, history = world.copy(), list[ToolStep]()
    first = next_step(job, world)
    assert first == Call(FIND, {"name": "otto"})
    assert cost(job, [], first).input_tokens == len(job.query) // 4
    # Whoever came before named an argument that changes nothing.
    search: dict[str, Json] = {"query": OTTO, "time_min": "2023-11-30 00:00:00", "time_max": None}
    history.append(execute(live, Call("calendar_search_events", search)))
    assert next_step(job, world, history) == first
    assert isinstance(first, Call)
    history.append(execute(live, first))
    delete = next_step(job, world, history)
    assert delete == Call("calendar_delete_event", {"event_id": "00000003"})
    played = run(job, live, initial=world, history=history)
    assert (played.model_calls, [step.tool for step in played.trace.calls][-1]) == (2, "calendar_delete_event")


def test_nothing_is_read_any_more_when_everything_is_written(world: World) -> None:
    job = task("Cancel my next meeting with otto", 'calendar.delete_event.func(event_id="00000003")')
    done = execute(world.copy(), Call("calendar_delete_event", {"event_id": "00000003"}))
    assert next_step(job, world, [done]) == Final(DONE)


def test_two_equal_writes_are_two(world: World) -> None:
    send = f'email.send_email.func(recipient="{OTTO}", subject="Tea", body="At four.")'
    job = task("Tell otto twice about tea", send, send, domains=("email",))
    before = len(ids(world.call("email_search_emails", {}), "email_id"))
    run(job, world)
    assert len(ids(world.call("email_search_emails", {}), "email_id")) == before + 2


def test_a_call_that_raises_is_not_made_for_ever(world: World) -> None:
    job = Task("Do it", "", "", ("calendar",), (Action("calendar_paint_event", {}),))
    played = run(job, world)
    assert ["calendar_paint_event" in str(step.error) for step in played.trace.calls] == [True]
    assert played.model_calls == 2


@pytest.mark.data
@pytest.mark.parametrize(("domain", "count"), [("analytics", 120), ("calendar", 110), (CRM, 80)])
def test_the_player_ends_where_the_truth_ends(workbench: Path, domain: str, count: int) -> None:
    tally = check(workbench, domain)
    assert (tally.tasks, tally.same, tally.found, tally.odd) == (count, count, tally.with_ids, [])


@pytest.mark.data
def test_every_action_of_the_truth_succeeds(workbench: Path) -> None:
    world = World.load(workbench)
    for domain in domains_with_tasks(workbench):
        for job in read_tasks(workbench, domain):
            live = world.copy()
            results = [live.call(action.tool, action.arguments) for action in job.actions]
            assert not [result for result in results if re.search(r" not |provide|choose", str(result))], job.query


@pytest.mark.data
def test_it_can_stop_after_every_step_and_be_taken_up_again(workbench: Path) -> None:
    world = World.load(workbench)
    for job in read_tasks(workbench, "calendar")[::10]:
        whole = run(job, world.copy()).trace.calls
        for stop in range(len(whole) + 1):
            live = world.copy()
            history = [execute(live, Call(step.tool, step.arguments)) for step in whole[:stop]]
            assert run(job, live, initial=world, history=history).trace.calls == whole


@pytest.mark.data
def test_the_command_prints_a_line_a_file(workbench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checking.main([str(workbench)]) == 0
    assert "80 tasks, 80 end as the truth" in capsys.readouterr().out
    with pytest.raises(UsageError):
        checking.main([])
