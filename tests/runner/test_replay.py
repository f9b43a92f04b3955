"""A run killed in its middle goes on from its record: nothing finished is sampled again, and the answer is the same."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import arun, resume
from maieutic.runner.replay import Recording
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, RunHeader, RunRecord
from maieutic.types import Completion, Request, Sampling
from tests.support.server import Answer, FakeServer

QUESTION = "What is 4 + 3?"
PROGRAM = """
import json, sys, maieutic
from pathlib import Path
question, url, traces, graph, settings = sys.argv[1:]
model = f"openai-compatible/m@{url}"
maieutic.run(question, graph, model=model, traces=Path(traces), seed=5, graph_settings=json.loads(settings))
"""


class Served:
    """Answers that depend on the request alone; every request after the first `before` ones hangs until let go."""

    def __init__(self, before: int) -> None:
        self.before = before
        self.seen: list[str] = []

    def __call__(self, body: dict[str, Any]) -> Answer:
        self.seen.append(json.dumps([body["messages"], body.get("seed")]))
        number = 3 + sum(self.seen[-1].encode()) % 3
        said = str(body["messages"])
        if "first wrong step" in said.lower() or "critic" in said.lower():
            text = "All steps hold.\\nVerdict: correct"
        else:
            text = f"Step 1: I count.\\nAnswer: {number}"
        return Answer(text, delay=0.0 if len(self.seen) <= self.before else 600.0)


def run_until_killed(server: FakeServer, traces: Path, graph: str, settings: dict[str, Any], calls: int) -> str:
    """Start a run in another process, kill it once `calls` calls are recorded and one more is under way; its id."""
    command = [sys.executable, "-c", PROGRAM, QUESTION, server.url, str(traces), graph, json.dumps(settings)]
    with subprocess.Popen(command) as process:
        try:
            for _ in range(6000):
                assert process.poll() is None, "it ended before it could be killed"
                if traces.is_dir() and len(server.requests) > calls:
                    with TraceReader(traces) as reader:
                        runs = list(reader.runs())
                        if runs and runs[0].calls >= calls:
                            return runs[0].run_id
                signal.sigtimedwait([], 0.01)
        finally:
            process.send_signal(signal.SIGKILL)
    raise AssertionError("it did not get so far")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("graph", "settings", "calls"),
    [("self_consistency", {"samples": 6, "early_stop": False}, 3), ("critique", {}, 1), ("self_consistency", {}, 2)],
)
async def test_killed_in_its_middle_a_run_goes_on_where_it_was(
    tmp_path: Path, graph: str, settings: dict[str, Any], calls: int
) -> None:
    killed, whole = Served(calls), Served(10**6)
    with FakeServer(killed) as server:
        run_id = run_until_killed(server, tmp_path / "traces", graph, settings, calls)
        before = list(killed.seen)
        killed.before, killed.seen = 10**6, []
        result = await resume(run_id, traces=tmp_path / "traces")
    with FakeServer(whole) as server:
        model = f"openai-compatible/m@{server.url}"
        unbroken = await arun(QUESTION, graph, model=model, traces=tmp_path / "w", seed=5, graph_settings=settings)
    with TraceReader(tmp_path / "traces") as reader:
        finished = [c for c in reader.run(run_id).calls if c.completion is not None and c.error is None]
        resumed = reader.run(result.run_id)
    assert len(finished) == calls
    assert (result.answer, result.text, result.partial) == (unbroken.answer, unbroken.text, False)
    assert result.usage.calls == unbroken.usage.calls
    done = set(before[:calls])
    assert not done & set(killed.seen) and len(killed.seen) == len(whole.seen) - calls
    assert sorted([*before[:calls], *killed.seen]) == sorted(whole.seen)
    replayed = [e for e in resumed.events_of("note") if e.fields.get("replayed")]
    assert (len(replayed), resumed.header.parent, resumed.header.seed) == (calls, run_id, 5)


async def test_a_run_that_ended_has_nothing_to_resume(tmp_path: Path) -> None:
    result = await arun(QUESTION, model=ScriptedModel("Answer: 7"), traces=tmp_path)
    with pytest.raises(UserError, match="has ended: there is nothing to resume"):
        await resume(result.run_id, traces=tmp_path)
    with pytest.raises(UserError, match="There is no run nope"):
        await resume("nope", traces=tmp_path)


async def test_what_was_given_as_an_object_has_to_be_given_again(tmp_path: Path) -> None:
    failing = ScriptedModel([RuntimeError("away")])
    with pytest.raises(RuntimeError, match="away"):
        await arun(QUESTION, model=failing, traces=tmp_path)
    with TraceReader(tmp_path) as reader:
        (run,) = reader.runs()
    with pytest.raises(UserError, match="was given as an object: give it again"):
        await resume(run.run_id, traces=tmp_path)
    assert (await resume(run.run_id, traces=tmp_path, model=ScriptedModel("Answer: 7"))).answer == "7"


def interrupted(model: str, requests: tuple[Request, ...]) -> RunRecord:
    """The record of a run whose process was killed after these calls."""
    calls = [
        CallRecord("r", f"c{i}", model, request, Completion(f"said {i}"), 0.0, 0.0, branch="b", turn=i)
        for i, request in enumerate(requests)
    ]
    failed = CallRecord("r", "c9", model, requests[0], None, 0.0, 0.0, branch="b", turn=9, error="away")
    cut = CallRecord("r", "c8", model, requests[0], Completion("sa"), 0.0, 0.0, branch="b", turn=8, cancelled=True)
    return RunRecord(RunHeader("r", "t"), (*calls, failed, cut), (), None)


def test_only_the_same_request_at_the_same_place_is_answered() -> None:
    one = Request(({"role": "user", "content": "one"},), Sampling(seed=1, max_tokens=10))
    past = Recording(interrupted("m", (one,)))
    assert past.model("b", 0, "m", one) is not None
    clipped = replace(one, sampling=replace(one.sampling, max_tokens=5))  # by what was left of a budget
    assert past.model("b", 0, "m", clipped) is not None
    for branch, turn, model, request in (
        ("a", 0, "m", one),
        ("b", 1, "m", one),
        ("b", 0, "other", one),
        ("b", 0, "m", replace(one, sampling=replace(one.sampling, seed=2))),
        ("b", 0, "m", replace(one, messages=({"role": "user", "content": "two"},))),
        ("b", 8, "m", one),
        ("b", 9, "m", one),
    ):
        assert past.model(branch, turn, model, request) is None
