"""Runs an agent whose write ends the process at the first time, and takes it up at the second. See `test_faults`."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from lc_support import BUY, BUY_BODY, on, procedure, says
from seglam_agents import ReasoningCache
from seglam_agents.testing.langchain import ScriptedChat

from langchain_seglam import SeglamMiddleware, host_tools


class Slow(SqliteSaver):
    """Saves so many checkpoints, and is not done with the next one when the process dies."""

    left = 0

    def put(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            threading.Event().wait()
        return super().put(*arguments)


class AsyncSlow(AsyncSqliteSaver):
    """The same for the event loop."""

    left = 0

    async def aput(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            await asyncio.Event().wait()
        return await super().aput(*arguments)


def main(folder: Path, mode: str, saved: int, again: str) -> None:
    """Run until the write, or from there."""
    resumed = (folder / "written").exists()

    @tool
    def price(item: str) -> int:
        """Return the price of one item."""
        return 3

    @tool
    def order(item: str, n: int) -> str:
        """Order boxes of an item."""
        with (folder / "written").open("a") as file:
            file.write(f"{item} {n}\n")
        os._exit(9)

    tools = [price, order]
    declared = host_tools(tools, {"price": "read"})
    with ReasoningCache(folder / "store", tools=declared, second_sandbox=None) as cache:
        if not resumed:
            procedure(cache, "buy", BUY, BUY_BODY, declared)
        model = ScriptedChat(script=[says("by model")])
        given: Any = None if resumed and again == "resume" else {"messages": [("user", "Order 2 boxes of tea")]}

        def graph(saver: Any) -> Any:
            saver.left = 1_000 if resumed else saved
            return create_agent(model, tools, middleware=[SeglamMiddleware(cache)], checkpointer=saver)

        async def arun() -> Any:
            async with AsyncSlow.from_conn_string(str(folder / "checkpoints")) as saver:
                return await graph(saver).ainvoke(given, on("1"))

        if mode == "async":
            result = asyncio.run(arun())
        else:
            with Slow.from_conn_string(str(folder / "checkpoints")) as saver:
                result = graph(saver).invoke(given, on("1"))
        shown = [message.text for message in model.seen[-1]] if model.seen else []
        (folder / "said").write_text("\n".join([result["messages"][-1].text, *shown]))
