"""`Driver`: lets a procedure stand in for the model of a host, one message at a time. Every host drives this."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from seglam_agents.hosting.accounting import Accounting
from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.decision import Decision, Event, GiveBack, Pass, Say, SayAnswer
from seglam_agents.hosting.history import Posed
from seglam_agents.hosting.journal import Journal
from seglam_agents.hosting.kept import Kept
from seglam_agents.hosting.named import named_before
from seglam_agents.hosting.running import MAX_CALLS
from seglam_agents.hosting.safety import safely
from seglam_agents.hosting.turn import Asked, Called, Carried, Left, Switch, Turn, View, new_id
from seglam_agents.hosting.values import render
from seglam_agents.records.outcome import Action, Call, Deopt, Final, GiveUp, Hit, Plan
from seglam_agents.records.procedure import ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.serving.ending import ended_by
from seglam_agents.serving.reports import reported

logger = logging.getLogger(__name__)

WRITE = "write"
"""The key in a message's metadata of what names the write that it asks for."""
MAX_COUNTED = 4_096


@dataclass(frozen=True, slots=True)
class Driver:
    """Looks a turn up, says what its procedure says, and hands over to the model where it gives up.

    Args:
        cache: whose procedures.
        accounting: where hits are booked.
        journal: where the writes of its procedures are noted.
        counted: what was counted: a step that the host runs once more is not counted twice.
    """

    cache: HostedCache
    accounting: Accounting
    journal: Journal
    counted: Kept[bool] = field(default_factory=lambda: Kept(MAX_COUNTED))

    def begin(
        self,
        turn: Turn,
        posed: Posed,
        switch: Switch = "on",
        *,
        pure: bool = False,
    ) -> tuple[Turn, tuple[Event, ...]]:
        """Look a new turn up, and return it with what was found.

        Args:
            turn: as the host made it.
            posed: the request. One that does not stand for itself is a miss without a look.
            switch: of this run.
            pure: the host can run no calls: a procedure that calls tools is a miss.
        """
        turn = _changed(turn, left=self._left(turn), scope=self.cache.scope.key)
        if switch == "off":
            return turn.closed("switched off for this run"), ()
        turn = self._standing(turn, posed)
        if turn.status == "miss":
            return turn, ()
        if switch == "refresh":
            return _changed(turn, status="miss", reason="to be learnt anew"), ()
        found = self.cache_in(turn).plan(turn.request, context=turn.context)
        if isinstance(found, Plan) and pure and not found.pure:
            return _changed(
                turn, status="miss", reason=f"{found.procedure} calls tools, which this host cannot run"
            ), ()
        if isinstance(found, Plan):
            event = Event("seglam.lookup", {"found": True, "procedure": found.procedure, "pure": found.pure})
            return _changed(turn, status="running", plan=found), (event,)
        event = Event("seglam.lookup", {"found": False, "reason": found.reason})
        return _changed(turn, status="miss", reason=found.reason), (event,)

    def step(self, turn: Turn, asked: Callable[[], Posed], view: View, *, pure: bool = False) -> Decision:
        """Look a turn up that is new, and return what happens now.

        Args:
            turn: as the host keeps it.
            asked: makes the request, as `begin` wants it.
            view: what the host shows.
            pure: the host can run no calls.
        """
        events: tuple[Event, ...] = ()
        if turn.status == "new":
            turn, events = self.begin(turn, asked(), view.switch, pure=pure)
        decision = self.advance(turn, view)
        return replace(decision, events=(*events, *decision.events))

    def call(self, turn: Turn, procedure_id: str, called: Called) -> tuple[Turn, Asked, tuple[Event, ...]] | None:
        """Begin a procedure that the model called as a tool, so that its calls go through the host one by one.

        Returns:
            The turn with the procedure's first call; None where the tool itself is to say what is wrong.
        """
        plan = self.cache.bind(procedure_id, called.arguments)
        if not isinstance(plan, Plan):
            return None
        action = self.cache.next_action(plan)
        if not isinstance(action, Call):
            return None
        asked = Asked(id=new_id(), tool=action.tool, arguments=dict(action.arguments))
        turn = _changed(
            turn, status="running", plan=plan, called=called, asked=(asked,), learn=False, author="", proposed=()
        )
        event = Event("seglam.lookup", {"found": True, "procedure": plan.procedure, "called": True})
        return turn, asked, (event,)

    def advance(self, turn: Turn, view: View) -> Decision:
        """Return the next message of a running procedure, or that the model speaks."""
        if turn.status != "running" or turn.plan is None:
            return _told(Pass(turn))
        results, steps = _results(turn, view)
        if isinstance(results, GiveUp):
            return self._give_up(turn, results, steps)
        problem = _hindrance(turn.plan, view)
        action = problem or reported(self.next_action(turn, results), turn.plan.closing, steps)
        match action:
            case Call() if len(turn.asked) < MAX_CALLS:
                return self._ask(turn, action)
            case Call():
                return self._give_up(turn, GiveUp(f"more than {MAX_CALLS} tool calls", kind="limit"), steps)
            case Final() if turn.called is not None:
                return self._give_back(turn, turn.called, action, steps)
            case Final() if left := turn.untaken:
                reason = f"an earlier attempt at this request called {left[0].tool}, and this one did not"
                return self._give_up(turn, GiveUp(reason, action.seconds, "host"), steps)
            case Final() if turn.plan.closing == "model":
                return self._close(turn, action, steps)
            case Final() if view.misfit is not None and (misfit := view.misfit(action.answer)):
                return self._give_up(turn, GiveUp(misfit, action.seconds, "value"), steps)
            case Final():
                return self._answer(turn, action, steps)
            case GiveUp():
                return self._give_up(turn, action, steps, learn=not problem and _only_read(turn.plan, steps))

    def cache_in(self, turn: Turn) -> HostedCache:
        """Return the cache under the conditions of a turn, which is what its run teaches."""
        return self.cache.later() if turn.later else self.cache

    def next_action(self, turn: Turn, results: Sequence[ToolResult]) -> Action:
        """Return what the procedure of a turn wants after the results of its calls so far."""
        if turn.plan is None:
            return _by_host("no procedure stands in")
        return self.cache_in(turn).next_action(turn.plan, results)

    def abandon(self, turn: Turn, view: View, reason: str) -> Pass:
        """End a plan that the host did not let come to its end."""
        if turn.status != "running":
            return Pass(turn)
        _, steps = _results(turn, view)
        decision = self._give_up(_changed(turn, called=None), _by_host(reason), steps)
        return Pass(decision.turn, decision.events, decision.left if isinstance(decision, Pass) else ())

    def _ask(self, turn: Turn, action: Call) -> Say:
        asked = Asked(id=new_id(), tool=action.tool, arguments=dict(action.arguments))
        turn = _changed(turn, asked=(*turn.asked, asked))
        about = _about(turn, step=len(turn.asked))
        write = turn.write(asked.id)
        if write is not None:
            about[WRITE] = write.model_dump(mode="json")
        return Say(turn, asked, about, write)

    def _answer(self, turn: Turn, action: Final, steps: Sequence[ToolStep]) -> SayAnswer:
        outcome, events = self._finish(turn, action, steps)
        saved = self.accounting.saved(turn.procedure_id).as_json()
        about = {**_about(turn), **_citation(outcome), "saved": saved}
        return SayAnswer(_changed(turn, status="hit", answer=action.answer), action.answer, about, events)

    def _close(self, turn: Turn, action: Final, steps: Sequence[ToolStep]) -> Pass:
        """Let the model say the last message, which sees what was called. What it says may be learnt from."""
        _, events = self._finish(turn, action, steps)
        return Pass(_changed(turn, status="closing", reason="its last message is the model's"), events)

    def _give_back(self, turn: Turn, called: Called, action: Final, steps: Sequence[ToolStep]) -> GiveBack:
        _, events = self._finish(turn, action, steps)
        return GiveBack(_handed_back(turn), called, render(action.answer), False, _about(turn), events)

    def _give_up(
        self, turn: Turn, action: GiveUp, steps: Sequence[ToolStep], *, learn: bool = False
    ) -> Pass | GiveBack:
        """Hand over to the model. What it then does may be learnt from where the procedure left nothing behind."""
        _, events = self._finish(turn, action, steps)
        logger.info("%s gave up: %s", turn.plan.procedure if turn.plan else "a procedure", action.reason)
        if turn.called is not None:
            text = f"The procedure gave up: {action.reason}."
            if steps:
                text += " The calls above were carried out; do not repeat them."
            return GiveBack(_handed_back(turn), turn.called, text, True, _about(turn), events)
        return _told(Pass(_changed(turn, status="gave up", reason=action.reason, learn=turn.learn and learn), events))

    def _standing(self, turn: Turn, posed: Posed) -> Turn:
        """Return a turn with its request; a miss where that does not stand for itself."""
        if posed.text is None:
            return _changed(turn, status="miss", reason="the turn is not self-contained", learn=False)
        turn = _changed(turn, text=posed.text, context=dict(posed.context))
        if not posed.earlier:
            return turn
        standing = self.cache.standing(turn.request, posed.earlier)
        before = named_before(posed) if standing.how != "open" else None
        if before is None:
            reason = f"the turn is not self-contained: {standing.reason or 'too much was said before'}"
            return _changed(turn, status="miss", reason=reason, learn=False)
        return _changed(turn, later=standing.how == "shown", before=before)

    def _left(self, turn: Turn) -> tuple[Left, ...]:
        return tuple(
            Left(
                id=new_id(),
                tool=left.tool,
                arguments=dict(left.arguments),
                key=left.call,
                text=left.text,
                done=left.done,
            )
            for left in self.journal.left(turn.origin)
        )

    def _finish(
        self, turn: Turn, action: Final | GiveUp, steps: Sequence[ToolStep]
    ) -> tuple[Hit | Deopt | None, tuple[Event, ...]]:
        plan = turn.plan
        if plan is None:
            return None, ()
        fresh = self.counted.put(f"{turn.key}/{turn.called.id if turn.called else ''}/{plan.procedure}", True)
        outcome = self._counted(turn, plan, action, steps) if fresh else None
        about: dict[str, Json] = {"procedure": plan.procedure, "steps": len(steps)}
        if isinstance(action, Final):
            spoken = plan.closing == "model"
            if fresh and turn.called is None:
                self.accounting.hit(turn.procedure_id, spoken=spoken)
            saved = self.accounting.saved(turn.procedure_id, spoken=spoken)
            return outcome, (Event("seglam.hit", {**about, "closing": plan.closing, "saved": saved.as_json()}),)
        if fresh:
            self.accounting.deopt(turn.procedure_id)
        return outcome, (Event("seglam.deopt", {**about, "reason": action.reason}),)

    def _counted(self, turn: Turn, plan: Plan, action: Final | GiveUp, steps: Sequence[ToolStep]) -> Hit | Deopt | None:
        # The answer is there; the run goes on.
        return safely(lambda: self.cache_in(turn).finish(plan, action, steps), None, "an outcome could not be counted")


def _results(turn: Turn, view: View) -> tuple[list[ToolResult] | GiveUp, list[ToolStep]]:
    """Return what the calls came to that the procedure asked for, in its order; and the steps that were done."""
    results: list[ToolResult] = []
    steps: list[ToolStep] = []
    problem: GiveUp | None = None
    for asked in turn.asked:
        carried = view.calls.get(asked.id) if view.calls is not None else None
        if carried is not None and not carried.refused:
            steps.append(carried.step(asked))
        problem = problem or _obstacle(asked, carried, view)
        if problem is None and carried is not None:
            results.append(carried.outcome)
            problem = ended_by(asked.tool, carried.outcome, turn.plan.tools if turn.plan else ())
    return problem or results, steps


def _obstacle(asked: Asked, carried: Carried | None, view: View) -> GiveUp | None:
    """Return why the result of a call is none for the procedure."""
    if view.calls is None:
        return _by_host("the request is not in the history any more")
    if carried is None:
        return _by_host(f"the result of {asked.tool} is not in the history")
    if carried.refused:
        return _by_host(f"the call of {asked.tool} was not carried out: {carried.refused[:200]}")
    return _by_host(f"somebody changed the call of {asked.tool}") if carried.changed(asked) else None


def _by_host(reason: str) -> GiveUp:
    return GiveUp(reason, kind="host")


def _hindrance(plan: Plan, view: View) -> GiveUp | None:
    # Checked before the first call and before each further one: a host may take tools away in between.
    if view.switch == "off":
        return _by_host("the cache was switched off")
    if view.tools is None:
        return None
    problems = (_stale(use, view.tools(use.name)) for use in plan.tools)
    return next((GiveUp(problem, kind="stale") for problem in problems if problem), None)


def _stale(use: ToolUse, tool: Tool | str | None) -> str | None:
    if not isinstance(tool, Tool):
        return tool or f"the tool {use.name} is not offered now"
    current = tool.model_copy(update={"effect": use.effect, "idempotent": use.idempotent})
    if current.schema_hash != use.schema_hash:
        return f"the tool {use.name} has other arguments than the cache was told (declare it with host_tools)"
    return None


def _told(decision: Pass) -> Pass:
    """Tell the model what earlier attempts wrote, once. What it then does is no clean run."""
    left = decision.turn.untaken
    return Pass(_changed(decision.turn, learn=False, left=()), decision.events, left) if left else decision


def _changed(turn: Turn, **update: object) -> Turn:
    return turn.model_copy(update=update)


def _handed_back(turn: Turn) -> Turn:
    over = (*turn.given_back, *turn.asked)
    return _changed(turn, status="miss", plan=None, asked=(), called=None, learn=False, given_back=over)


def _only_read(plan: Plan, steps: Sequence[ToolStep]) -> bool:
    effects = {use.name: use.effect for use in plan.tools}
    return all(effects.get(step.tool, "write") != "write" for step in steps)


def _about(turn: Turn, **more: Json) -> dict[str, Json]:
    return {"author": "procedure", "procedure": turn.plan.procedure if turn.plan else "", **more}


def _citation(outcome: Hit | Deopt | None) -> dict[str, Json]:
    if outcome is None:
        return {}
    citation = outcome.citation
    return {"name": citation.name, "clean_replays": citation.clean_replays, "error_bound": citation.error_bound}
