"""A graph of ours as a node of somebody's LangGraph graph."""

from contextlib import AsyncExitStack
from typing import Any

from maieutic.graphs.graph import Graph
from maieutic.runner.front import open_runner
from maieutic.runner.runner import Runner
from maieutic.tasks.task import Task


class Node:
    """An async function from a state to an update: the question in one field, the answer in another.

    The runner is opened with the first question and stays open until `aclose`, so that connections are kept. The update
    also has `FIELD_run`, the id of the run in the trace, where `run_field` is set.
    """

    def __init__(self, graph: str | Graph, question: str, answer: str, run_field: str | None, options: Any) -> None:
        self._graph, self._options = graph, options
        self._question, self._answer, self._run_field = question, answer, run_field
        self._stack = AsyncExitStack()
        self._runner: Runner | None = None

    async def __call__(self, state: Any) -> dict[str, Any]:
        if self._runner is None:
            self._runner = await self._stack.enter_async_context(open_runner(self._graph, **self._options))
        asked = state[self._question] if isinstance(state, dict) else getattr(state, self._question)
        result = await self._runner.run(Task(question=str(asked)))
        update: dict[str, Any] = {self._answer: result.answer if result.answer is not None else result.text}
        return update if self._run_field is None else {**update, self._run_field: result.run_id}

    async def aclose(self) -> None:
        """Close the runner. The next question opens another one."""
        self._runner = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()


def as_node(
    graph: str | Graph,
    *,
    question: str = "question",
    answer: str = "answer",
    run_field: str | None = None,
    **options: Any,
) -> Node:
    """A node for a LangGraph `StateGraph`: `theirs.add_node("think", as_node("debate", model=…))`.

    `question` and `answer` are fields of their state; `options` are those of `open_runner`: model, tools, budget, …
    Raises, at the first question, UserError for what can't be done as written.
    """
    return Node(graph, question, answer, run_field, options)
