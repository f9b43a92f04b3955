"""Somebody's own agent in a role: any async callable, or a LangGraph graph that knows nothing of us.

    solver = own_solver(ask_my_agent)                          # async (question) -> text
    solver = own_solver(from_langgraph(their_graph, ask="question", answer="answer"))

In a module of theirs it is named by its path, as in `--set solver=their_package.agents:solver`, and every graph that
has a solver then samples, votes, critiques or debates around it.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from maieutic.agents.prompts import stated
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import MaieuticError
from maieutic.tasks.answers import extract
from maieutic.trace.record import Parent
from maieutic.types import Sampling

Own = Callable[[str], Awaitable[Any]] | Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class OwnSolver:
    """Solves the run's question by calling `ask`. Its own model calls are not ours to record: the trace holds what it
    was asked and what it said, as a note."""

    ask: Own
    role: str = "solver"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, *, parents: tuple[Parent, ...] = ()) -> Solution:
        ctx.account.check()
        question = stated(ctx.task)
        call_id = f"own-{next(ctx.run.call_numbers)}"
        ctx.emit("note", self.role, text="asks an own agent")
        try:
            said = self.ask(question)
            said = await said if inspect.isawaitable(said) else said
        except MaieuticError:
            raise
        except Exception as error:
            ctx.record("error", call_id=call_id, error=f"{type(error).__name__}: {error}")
            raise MaieuticError(f"The own agent failed: {type(error).__name__}: {error}.") from error
        if not isinstance(said, str):
            raise MaieuticError(f"The own agent gave {type(said).__name__}: it must give text.")
        ctx.record("note", call_id=call_id, own_agent=True, asked=question, said=said)
        ctx.emit("note", self.role, text=said)
        return Solution(said, extract(said, ctx.task["answer_type"]) or said.strip() or None, call_id)


def own_solver(ask: Own) -> Callable[..., OwnSolver]:
    """A factory, as the roles of graphs take it, of a solver that calls `ask` with the question and takes its text.

    An answer is looked for as in a model's reply; where none is marked, the whole text is the answer.
    """

    def factory(sampling: Sampling = Sampling()) -> OwnSolver:
        return OwnSolver(ask, sampling=sampling)

    return factory


def from_langgraph(graph: Any, ask: str = "question", answer: str = "answer", **config: Any) -> Own:
    """A compiled LangGraph graph as a callable: the question goes into its state's field `ask`, and the text comes from
    the field `answer`, a text or the last of its messages. `config` goes to every `ainvoke`."""

    async def call(question: str) -> Any:
        entry: Any = [("user", question)] if ask == "messages" else question
        state = await graph.ainvoke({ask: entry}, config or None)
        found = state[answer]
        last = found[-1] if isinstance(found, list) and found else found
        return getattr(last, "content", last)

    return call
