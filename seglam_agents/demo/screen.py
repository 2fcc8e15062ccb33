"""How the demo looks while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seglam_agents.demo.report import Step

KEPT_FREE = 6
"""Lines of the terminal that the table leaves to its heading and the sums."""


class Screen:
    """Shows the steps as they come.

    Args:
        console: where to; lines are plain when it is no terminal.
        total: how many steps will come.
        plain: True for plain lines on a terminal too.
    """

    def __init__(self, console: Console, total: int, *, plain: bool = False) -> None:
        self._console = console
        self._total = total
        self._steps: list[Step] = []
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal and not plain else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, step: Step) -> None:
        """Show one more step."""
        self._steps.append(step)
        if self._live:
            self._live.update(Group(self._table(), Text(f"\n{self.sums()}")), refresh=True)
        else:
            self._console.print(plain_line(step), soft_wrap=True)
            if step.number % 10 == 0 or step.number == self._total:
                self._console.print(f"    {self.sums()}", soft_wrap=True)

    def sums(self) -> str:
        """Return the running sums."""
        steps = self._steps
        hits = sum(step.event == "hit" for step in steps)
        right = sum(step.right for step in steps)
        calls = sum(step.model_calls for step in steps)
        tokens = sum(step.tokens for step in steps)
        return (
            f"{len(steps)} of {self._total}: {hits} hits, {right} right, {len(steps) - right} wrong, "
            f"{calls} model calls, {tokens:,} tokens"
        )

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="bold")
        table.add_column("", justify="right", width=3)
        table.add_column("request", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("what happened", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("", width=5)
        for step in self._steps[-max(3, self._console.height - KEPT_FREE) :]:
            style = "" if step.event == "hit" else "cyan"
            table.add_row(str(step.number), step.request, Text(step.happened, style=style), _verdict(step))
        return table


def plain_line(step: Step) -> str:
    """Return a step as one line."""
    request = step.request if len(step.request) <= 56 else step.request[:55] + "…"
    return f"{step.number:3} {request:<56} {'right' if step.right else 'WRONG'}  {step.happened}"


def _verdict(step: Step) -> Text:
    return Text("right", style="green") if step.right else Text("WRONG", style="bold red")
