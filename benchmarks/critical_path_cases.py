"""The graphs and settings that `critical_path.py` runs, with a script and tools that make them go deep.

Every model call and every tool call takes the same time. Replies depend on the request alone: its role, by words of the
role's prompt, and a draw from its text and seed, so that samples differ, critics find fault and searches go on.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from critical_path_control import PATH

from maieutic.llm.scripted import ScriptedModel, decode
from maieutic.tasks.task import Task
from maieutic.tools.tool import Tool, tool
from maieutic.types import Completion, Request, ToolCall

TASK = Task(question="What is 4 + 3?", gold="7")
PAGES = [f"https://example.org/{name}" for name in ("counting", "sums", "fingers")]
CODE = "<code>\nprint(4 + 3)\n</code>\n<tests>\nassert 4 + 3 == 7\n</tests>"
TABLE = "<variables>\np: it is 7\n</variables>\n<premises>\np\n</premises>\n<conclusion>\np\n</conclusion>"


@dataclass(frozen=True)
class Case:
    """A graph with settings. `models` names roles that have a model of their own; `tools` are those beyond its needs.

    `waits` says why calls that could go out together don't: it is asked for. Then no bound is held to it.
    """

    graph: str
    settings: dict[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    waits: str = ""

    @property
    def name(self) -> str:
        said = ", ".join(f"{key}={value}" for key, value in self.settings.items())
        graph = Path(self.graph).stem
        return f"{graph}, {said}" if said else graph


CASES = (
    Case("cascade", {"stages": ["greedy", "tool"]}, tools=("python",)),
    Case("code_and_tests"),
    Case("code_interpreter"),
    Case("controller", {"feedback": "judge"}),
    Case("critique", {"chains": 4, "critics": 3}),
    Case("debate", {"debaters": 5}),
    Case("deconstruct"),
    Case("deep_research"),
    Case("deepening", {"samples": 4, "least": 3}),
    Case("direct"),
    Case("long_short", models=("long-thinker",)),
    Case("mrag"),
    Case("peers", {"turns": 3}),
    Case("peers", {"turns": 3, "paths": 8, "form": "chat"}),
    Case("planner", {"trajectory": "decompose/program/verify"}, tools=("python",)),
    Case("reflect", {"feedback": "judge"}),
    Case("rethink", {"times": 3}),
    Case("round_table", {"panelists": 5}),
    Case("self_consistency", {"samples": 16, "schedule": "all", "early_stop": False}),
    Case("self_consistency", {"samples": 16}, waits="samples in waves, so that as few as possible are drawn"),
    Case("self_consistency", {"samples": 16, "weights": "confidence"}),
    Case("self_rag"),
    Case("sim_rag"),
    Case("speculative", models=("large",)),
    Case("sql_explore"),
    Case("strategist", {"strategy": "vote"}, waits="samples in waves, so that as few as possible are drawn"),
    Case("strategist", {"mode": "self"}),
    Case("three_ways"),
    Case("tool_loop", tools=("python", "search")),
    Case("tree", {"steps": 3}),
)
CONTROL = Case(str(PATH))


def tools(latency: float) -> dict[str, Tool]:
    """Tools under the names of the real ones, that take `latency` and answer always the same."""

    @tool
    async def python(code: str) -> str:
        """Run Python code."""
        await asyncio.sleep(latency)
        return "7"

    @tool
    async def sql(query: str) -> str:
        """Run a query."""
        await asyncio.sleep(latency)
        return "| n |\n|---|\n| 7 |\n1 row"

    @tool
    async def retrieve(query: str, k: int = 5) -> str:
        """Find passages."""
        await asyncio.sleep(latency)
        about = ("Four and three are seven.", "Seven is four and three.", "Three and four are seven.")
        return "\n\n".join(f"[{n}] counting-{n}.md\n{text}" for n, text in enumerate(about, 1))

    @tool
    async def search(query: str) -> str:
        """Search the web."""
        await asyncio.sleep(latency)
        return "\n\n".join(f"{n}. Counting\n{url}\nFour and three are seven." for n, url in enumerate(PAGES, 1))

    @tool
    async def read_page(url: str, page: int = 1) -> str:
        """Read a page."""
        await asyncio.sleep(latency)
        return f"Four and three are seven, says {url}."

    return {one.name: one for one in (python, sql, retrieve, search, read_page)}


def model(latency: float, name: str = "scripted") -> ScriptedModel:
    """The scripted model; whole replies come in one piece, since many short sleeps take longer than one long one."""
    return ScriptedModel(reply, name, latency, piece=10**6)


def reply(request: Request) -> str | Completion:
    said = "\n".join(str(message["content"]) for message in request.messages if message["role"] == "system")
    role = next((replies for words, replies in ROLES.items() if words in said), SOLVES)
    found: Any = role(request) if callable(role) else role[_drawn(request)[0] % len(role)]
    return found


def _drawn(request: Request) -> bytes:
    asked = [request.messages, request.sampling.seed, request.prompt_ids]
    return sha256(json.dumps(asked).encode()).digest()


def _sent(request: Request) -> str:
    """All that the model reads."""
    if request.prompt_ids is not None:
        return decode(request.prompt_ids)
    return "\n".join(str(message["content"]) for message in request.messages)


def _calls(*calls: tuple[str, dict[str, Any]]) -> Completion:
    made = tuple(ToolCall("", name, json.dumps(arguments)) for name, arguments in calls)
    return Completion("", tool_calls=made, finish_reason="tool_calls")


def _heard(request: Request) -> int:
    """How many results of tools stand in the request."""
    return sum(message["role"] == "tool" for message in request.messages)


def _solves(request: Request) -> str | Completion:
    """With tools, two calls side by side, twice; then an answer, on which samples differ."""
    if request.tools and request.tool_choice != "none" and _heard(request) < 4:
        given: dict[str, dict[str, Any]] = {
            "python": {"code": "print(4 + 3)"},
            "search": {"query": "4 + 3"},
            "retrieve": {"query": "4 + 3"},
            "sql": {"query": "SELECT 7"},
        }
        names = [one.name for one in request.tools if one.name in given] or ["python"]
        return _calls(*((names[i % len(names)], given[names[i % len(names)]]) for i in range(2)))
    drawn = _drawn(request)
    step = "none" if drawn[1] % 2 else "1"
    return (
        f"I count.\n\n4 + 3 = {6 + drawn[2] % 3}\nFirst wrong step: {step}\nConfidence: 60\nAnswer: {6 + drawn[2] % 3}"
    )


def _researches(request: Request) -> str | Completion:
    """A search, the pages it found, and an answer that cites them."""
    if (heard := _heard(request)) == 0:
        return _calls(("search", {"query": "4 + 3"}), ("search", {"query": "3 + 4"}))
    if heard == 2:
        return _calls(("browse", {"urls": PAGES, "looking_for": "the sum"}))
    return "Four and three are seven [1]. So are three and four [2].\nAnswer: 7 [1]"


def _reads(request: Request) -> str:
    first = "Screen 1:" in _sent(request)
    return json.dumps({"new": ["Four and three are seven."], "page_down": first})


def _validates(request: Request) -> str:
    claims = _sent(request).partition("Claims:\n")[2].partition("\n\n")[0]
    return "\n".join(f"{number}: silent" for number in range(1, claims.count("\n") + 2))


def _queries(request: Request) -> str:
    """Two looks at the data, then the query."""
    if _sent(request).count("<result>") < 2:
        return "I look. <intermediate_sql>SELECT 7</intermediate_sql>"
    return " So <final_sql>SELECT 7</final_sql>"


def _computes(request: Request) -> str:
    if _sent(request).count("```output") < 2:
        return "I compute.\n```python\nprint(4 + 3)\n```\n"
    return " It is 7.\nAnswer: 7"


def _thinks(request: Request) -> Completion:
    """A thought of peers that is cut off, and what it has found."""
    if _sent(request).endswith("<summarize>\n"):
        return Completion("I found 7 so far, by counting.\n</summarize>", finish_reason="stop")
    return Completion("I count: 4, 5, 6, 7, and go on.", finish_reason="length")


def _concludes(request: Request) -> str:
    """Hands back twice."""
    if _sent(request).count("</rethink>") < 3:
        return "<answer>\nThe carry is missing.\n</rethink>"
    return "<answer>\n4 + 3 = 7\nAnswer: 7\n</answer>"


def _grades(request: Request) -> Completion:
    """One token, and what else it could have been."""
    asked = _sent(request)
    for words, options in (("Use (", "45321"), ("Relevance (", "AB"), ("Support (", "ABC")):
        if words in asked:
            return _one_of(options)
    return _one_of(("Yes", "No"))


def _one_of(options: Sequence[str]) -> Completion:
    alternatives = tuple((option, -0.1 - i) for i, option in enumerate(options))
    return Completion(options[0], token_ids=(1,), logprobs=(-0.1,), top_logprobs=(alternatives,))


SOLVES = _solves
_STATUSES = [f"It holds.\nStatus: {letter}" for letter in "BCD"]
ROLES: dict[str, Any] = {
    "You check solutions": ["Step 1: wrong, it is 7\nFirst wrong step: 1", "Step 1: correct\nFirst wrong step: none"],
    "Answer the question with a Python program": ["<code>\nprint(4 + 3)\n</code>"],
    "You write Python and test": [f"I think.\n{CODE}"],
    "Solve the problem. Think step by step, and let Python": _computes,
    "Solve the problem. Think it through": _thinks,
    "You work on a problem side by side": ["I count on: 5, 6, 7."],
    "Sum up where an unfinished attempt": ["It has 7 so far.", "It has 4, 5, 6 and goes on.", "It adds 3 to 4."],
    "You think for another model": ["<think>\nI add 3 to 4.\n</think>"],
    "You write the answer to a problem": _concludes,
    "You direct a worker": ["1. What is 4?\n2. What is 4 + 3?"],
    "Take the question apart": ["1. What is 4?\n2. What is 4 + 3?"],
    "Put the question into propositional logic": [TABLE],
    "Answer the question with one SQL query": _queries,
    "You research a question": _researches,
    "You read one page": _reads,
    "You compare claims": _validates,
    "You order search results": ["Order: 2 > 1 > 3"],
    "You write the next query": ['{"query": "sum of four and three"}', '{"query": "three and four"}'],
    "You judge whether an answer": ["Sufficient: no"],
    "You decide whether looking": _grades,
    "You grade one part": _grades,
    "You write an answer part": ["It is a sum.", "It is counted."],
    "You solve a problem one step": ["I count on from 4.", "I add 3 to 4.", "I count fingers."],
    "A solution to a problem is under way. Read": _STATUSES,
    "A solution to a problem is under way, and": ["The step holds."],
    "what you expect to come of it": ["It leads to 7."],
    "what was expected of one step": ["It was plain.\n\nLesson: Count on."],
    "An attempt at a problem did not succeed": ["Lesson: Count.\n\n4 + 3 = 7\nAnswer: 7", "Lesson: Add.\n\nAnswer: 8"],
    "You decide whether a question should be thought": ["Think: yes"],
    "that you gave. Go over": ["Confidence: 40", "Confidence: 80"],
}
