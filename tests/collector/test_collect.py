import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maieutic.budget import Budget
from maieutic.collector import Progress, collect, read_failures, read_results
from maieutic.errors import ModelError, TaskError, TraceError, UnknownName, UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.types import Outcome, Request, Sampling

DOWN = ModelError("The server at http://gpu:8000/v1 can't be reached.", kind="unreachable")


def tasks(n: int = 10) -> list[Task]:
    return [Task(id=f"t{i}", question=f"What is {i} + 1?", gold=str(i + 1)) for i in range(n)]


def question(request: Request) -> int:
    return int(str(request.messages[-1]["content"]).split(" + ")[0].split()[-1])


def right(request: Request) -> str:
    return f"Answer: {question(request) + 1}"


def keys(out: Path) -> list[tuple[str, int]]:
    return sorted(row.key for row in read_results(out))


async def test_every_key_is_done_once_and_readable_in_the_trace(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return right(request) if question(request) < 7 else "no idea"

    report = await collect(tasks(), out=tmp_path, model=ScriptedModel(script), samples=2)
    assert keys(tmp_path) == [(f"t{i}", sample) for i in range(10) for sample in (0, 1)]
    assert (report.total, report.done, report.new, report.failed, report.stopped) == (20, 20, 20, 0, None)
    assert report.summary.outcomes == {Outcome.CORRECT: 14, Outcome.UNPARSED: 6}
    assert report.summary.accuracy is not None
    assert report.summary.accuracy.estimate == 0.7
    assert report.summary.usage.calls == 20
    with TraceReader(report.traces) as reader:
        for row in read_results(tmp_path):
            header = reader.run(row.run_id).header
            assert (header.task_key, header.sample, header.attempt) == (row.task, row.sample, row.attempt)


async def test_abstentions_are_counted_apart(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return right(request) if question(request) < 6 else "Answer: I don't know" if question(request) < 8 else "Hm."

    summary = (await collect(tasks(), out=tmp_path, model=ScriptedModel(script))).summary
    assert summary.abstained == 2
    shares = [summary.accuracy, summary.coverage, summary.selective]
    assert [(s.estimate, s.n) for s in shares if s] == [(0.6, 10), (0.8, 10), (0.75, 8)]


async def test_admission_is_bounded(tmp_path: Path) -> None:
    alive = 0

    async def script(request: Request) -> str:
        nonlocal alive
        alive = max(alive, len(asyncio.all_tasks()))
        await asyncio.sleep(0.002)
        return right(request)

    model = ScriptedModel(script)
    await collect(tasks(200), out=tmp_path, model=model, concurrency=7)
    assert model.peak == 7
    assert alive < 7 * 8


async def test_starting_again_does_nothing_and_more_samples_are_only_added(tmp_path: Path) -> None:
    await collect(tasks(), out=tmp_path, model=ScriptedModel(right))
    before = (tmp_path / "results.jsonl").read_bytes()
    model = ScriptedModel(right)
    again = await collect(tasks(), out=tmp_path, model=model)
    assert (again.done, again.new, model.requests) == (10, 0, [])
    more = await collect(tasks(12), out=tmp_path, model=model, samples=3)
    assert (more.done, more.new, more.total) == (36, 26, 36)
    assert len(model.requests) == 26
    assert (tmp_path / "results.jsonl").read_bytes().startswith(before)


async def test_a_task_file_whose_bad_line_was_mended_goes_on(tmp_path: Path) -> None:
    lines = [json.dumps({"id": f"t{i}", "question": f"What is {i} + 1?", "gold": i + 1}) for i in range(5)]
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join([*lines[:2], "{broken", *lines[3:]]))
    report = await collect(file, out=tmp_path / "out", model=ScriptedModel(right))
    assert report.done == 4
    assert len(report.problems) == 1
    assert "line 3" in report.problems[0]
    file.write_text("\n".join(lines))
    report = await collect(file, out=tmp_path / "out", model=ScriptedModel(right))
    assert (report.done, report.new, report.problems) == (5, 1, [])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"graph": "tool_loop"}, "graph direct, and now tool_loop"),
        ({"model": ScriptedModel(right, name="other")}, "model scripted, and now other"),
        ({"seed": 5}, "seed 0, and now 5"),
        ({"sampling": Sampling(temperature=0.5)}, "temperature=0.5"),
        ({"budget": Budget(tokens=9000)}, "budget none, and now tokens=9000"),
        ({"graph_settings": {"max_turns": 3}}, "graph_settings max_turns=8, and now max_turns=3"),
        ({"samples": 1}, "samples 2, and now 1"),
        ({"limit": 3}, "10 tasks, of which 7 are missing now, such as 't3'"),
        ({"source": [Task(id=f"t{i}", question="?") for i in range(10)]}, "another task under the id 't0'"),
    ],
)
async def test_another_request_into_the_same_directory_is_refused(
    changed: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"source": tasks(), "model": ScriptedModel(right), "samples": 2}
    await collect(**asked, out=tmp_path)
    with pytest.raises(UserError) as refusal:
        await collect(**{**asked, **changed}, out=tmp_path)
    assert sentence in str(refusal.value)
    assert str(refusal.value).endswith("ask for the same, or give another directory.")
    assert (await collect(**asked, out=tmp_path)).done == 20


async def test_failures_are_data_and_are_tried_again_at_the_next_start(tmp_path: Path) -> None:
    def script(request: Request) -> str | Exception:
        return ModelError("Too long.") if question(request) == 4 else right(request)

    report = await collect(tasks(), out=tmp_path, model=ScriptedModel(script))
    assert (report.done, report.failed, report.failures, report.stopped) == (9, 1, {"Too long.": 1}, None)
    (failure,) = read_failures(tmp_path)
    assert (failure.task, failure.attempt, failure.error, failure.kind) == ("t4", 0, "ModelError", "refused")
    report = await collect(tasks(), out=tmp_path, model=ScriptedModel(right))
    assert (report.done, report.new, report.failed) == (10, 1, 0)
    assert [row.attempt for row in read_results(tmp_path) if row.task == "t4"] == [1]


async def test_an_unforeseen_error_in_one_run_leaves_the_others_alone(tmp_path: Path) -> None:
    def script(request: Request) -> str | Exception:
        return ZeroDivisionError("a bug") if question(request) == 4 else right(request)

    report = await collect(tasks(), out=tmp_path, model=ScriptedModel(script))
    assert (report.done, report.failures) == (9, {"a bug": 1})


async def test_a_server_that_dies_ends_the_collection_with_one_sentence(tmp_path: Path) -> None:
    def script(request: Request) -> str | Exception:
        return right(request) if question(request) < 30 else DOWN

    report = await collect(tasks(120), out=tmp_path, model=ScriptedModel(script), concurrency=1)
    assert report.done == 30
    assert report.stopped == (
        "The server of scripted stopped answering after 30 results (The server at http://gpu:8000/v1 can't be reached);"
        " start the same command again to go on."
    )
    assert len(list(read_failures(tmp_path))) == 20
    assert (await collect(tasks(120), out=tmp_path, model=ScriptedModel(right))).done == 120


async def test_one_that_dies_near_the_end_leaves_runs_undone_and_that_is_said(tmp_path: Path) -> None:
    def script(request: Request) -> str | Exception:
        return right(request) if question(request) < 27 else DOWN

    report = await collect(tasks(30), out=tmp_path, model=ScriptedModel(script), concurrency=1)
    assert (report.done, report.failed, report.left) == (27, 3, 0)
    assert report.stopped == (
        "The server of scripted stopped answering after 27 results (The server at http://gpu:8000/v1 can't be reached);"
        " start the same command again to go on."
    )
    again = await collect(tasks(30), out=tmp_path, model=ScriptedModel(right))
    assert (again.done, again.new, again.stopped) == (30, 3, None)


@pytest.mark.parametrize(
    ("failing", "error"),
    [({3, 4, 5}, DOWN), ({9}, ModelError("It won't say that.", status=403)), ({9}, ModelError("Too long."))],
    ids=["it answered again", "it refused one task", "one task failed"],
)
async def test_failures_that_are_not_of_a_server_that_went_are_counted(
    failing: set[int], error: ModelError, tmp_path: Path
) -> None:
    def script(request: Request) -> str | Exception:
        return error if question(request) in failing else right(request)

    report = await collect(tasks(10), out=tmp_path, model=ScriptedModel(script), concurrency=1)
    assert (report.done, report.failed, report.stopped) == (10 - len(failing), len(failing), None)


async def test_failures_that_other_tasks_avoid_do_not_end_it(tmp_path: Path) -> None:
    model = ScriptedModel(ModelError("The prompt is too long.", status=400))
    report = await collect(tasks(60), out=tmp_path, model=model)
    assert (report.failed, report.stopped) == (60, None)


async def test_cancelling_leaves_it_ready_to_go_on(tmp_path: Path) -> None:
    model = ScriptedModel(right, latency=0.03)
    under_way = asyncio.create_task(collect(tasks(100), out=tmp_path, model=model, concurrency=4))
    await asyncio.sleep(0.5)
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    done = len(keys(tmp_path))
    assert 0 < done < 100
    report = await collect(tasks(100), out=tmp_path, model=ScriptedModel(right))
    assert (report.done, report.new + report.recovered) == (100, 100 - done)


async def test_progress_tells_only_what_is_on_disk(tmp_path: Path) -> None:
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        assert progress.done <= len(list(read_results(tmp_path)))

    model = ScriptedModel(right, latency=0.02)
    await collect(tasks(40), out=tmp_path, model=model, concurrency=4, on_progress=watch)
    done = [p.done for p in seen]
    assert (done[0], done[-1], done) == (0, 40, sorted(done))
    assert seen[0].rate is None
    assert seen[-1].eta == 0
    assert seen[-1].correct == 40
    assert 20 < (seen[-1].rate or 0) < 200  # 4 at a time, 0.02 s each


async def test_an_error_in_the_progress_callback_is_not_swallowed(tmp_path: Path) -> None:
    def broken(progress: Progress) -> None:
        if progress.done:
            raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError, match="in the callback"):
        await collect(tasks(), out=tmp_path, model=ScriptedModel(right), on_progress=broken)


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    model = ScriptedModel(right, latency=0.1)
    first = asyncio.create_task(collect(tasks(3), out=tmp_path, model=model))
    while not model.requests:
        await asyncio.sleep(0.01)
    with pytest.raises(UserError, match="Another process is collecting into"):
        await collect(tasks(3), out=tmp_path, model=ScriptedModel(right))
    assert (await first).done == 3


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        ({"graph": "debat"}, UnknownName, "Did you mean 'debate'"),
        ({"model": "nothing-like-it"}, UnknownName, "in-box"),
        ({"samples": 0}, UserError, "samples is 0: give a number from 1"),
        ({"concurrency": 0}, UserError, "concurrency is 0"),
        ({"limit": 0}, UserError, "limit is 0"),
        ({"source": "no-such-file.jsonl"}, TaskError, "can't be read"),
        ({"graph_settings": {"turns": 3}}, UserError, "Its settings: max_turns"),
    ],
)
async def test_wrong_input_leaves_nothing_behind(
    asked: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as refusal:
        await collect(**{"source": tasks(), "model": ScriptedModel(right), **asked}, out=tmp_path / "out")
    assert sentence in str(refusal.value)
    assert not (tmp_path / "out").exists()


async def test_a_directory_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="is there and is not a collection"):
        await collect(tasks(), out=tmp_path, model=ScriptedModel(right))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("left", [".lock", ".collect.json.tmp", ".remote.lock", ".remote.json", ".remote.json.tmp"])
async def test_what_a_first_start_left_when_it_was_killed_is_nothing_foreign(left: str, tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    (tmp_path / left).write_text("{")
    report = await collect(tasks(3), out=tmp_path, model=ScriptedModel(right))
    assert report.done == 3 and not (tmp_path / ".collect.json.tmp").exists()


@pytest.mark.parametrize("damage", ["{}", "not json", '{"task": 1}'])
async def test_a_damaged_line_is_named(damage: str, tmp_path: Path) -> None:
    await collect(tasks(3), out=tmp_path, model=ScriptedModel(right))
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write(damage + "\n")
    with pytest.raises(TraceError, match=r"results\.jsonl, line 4 is damaged"):
        await collect(tasks(3), out=tmp_path, model=ScriptedModel(right))


async def test_tasks_without_an_answer_to_check_have_no_accuracy(tmp_path: Path) -> None:
    plain: Sequence[Task] = [Task(question="Why?")]
    report = await collect(plain, out=tmp_path, model=ScriptedModel("Because."))
    assert (report.done, report.summary.accuracy, report.summary.outcomes) == (1, None, {})


async def test_partial_runs_are_counted_as_such(tmp_path: Path) -> None:
    model = ScriptedModel("word " * 100, latency=0.01)
    report = await collect(tasks(3), out=tmp_path, model=model, budget=Budget(tokens=250))
    assert (report.done, report.summary.partial) == (3, 3)


async def test_roles_have_models_of_their_own_and_a_later_start_has_to_name_the_same(tmp_path: Path) -> None:
    def critic() -> ScriptedModel:
        return ScriptedModel(lambda _: "It holds.\nFirst wrong step: none", name="judge")

    asked: dict[str, Any] = {"source": tasks(2), "model": ScriptedModel(right), "graph": "critique"}
    report = await collect(**asked, models={"critic": critic()}, out=tmp_path)
    with TraceReader(tmp_path) as reader:
        runs = [reader.run(summary.run_id) for summary in reader.runs()]
    assert {(call.role, call.model) for run in runs for call in run.calls} == {
        ("solver", "scripted"),
        ("critic", "judge"),
    }
    assert {run.header.group_id for run in runs} == {f"t{i}/critique/scripted,critic=judge" for i in range(2)}
    assert json.loads((tmp_path / "collect.json").read_text())["models"] == {"critic": "judge"}
    with pytest.raises(UserError, match="started with models critic=judge, and now none is asked for"):
        await collect(**asked, out=tmp_path)
    assert (await collect(**asked, models={"critic": critic()}, out=tmp_path)).new == 0
    assert report.done == 2
    with pytest.raises(UnknownName, match="'critik'"):
        await collect(**asked, models={"critik": critic()}, out=tmp_path / "other")
