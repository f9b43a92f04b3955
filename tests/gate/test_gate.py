"""The gate as a whole: every count adds up, every format goes through, and nothing that stays behind leaks out."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from maieutic.cli import main
from maieutic.errors import UserError
from maieutic.gate.gate import GateReport, Making, gate
from maieutic.gate.rules import Rules
from maieutic.gate.tokenizer import decoder
from maieutic.recipes.export import export
from maieutic.trace.writer import TraceStore
from maieutic.types import Message
from tests.gate.test_filters import KEY, TRAIN
from tests.trace.builders import call, header

MAIL = "anna.berg@mail-house.org"


def chat(question: str, reply: str = "Answer: 2", **fields: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
    return {"messages": said, **fields}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def tasks(path: Path, *questions: str) -> Path:
    return write(path, *({"question": question, "gold": "2"} for question in questions))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def adds_up(report: GateReport) -> dict[str, Any]:
    """Every row left or stayed with a reason; gives the card."""
    card: dict[str, Any] = json.loads(report.card.read_text())
    assert report.rows_in == report.rows_out + report.dropped.total() == card["rows_in"]
    stayed = read(report.dropped_file)
    assert len(stayed) == report.dropped.total() == sum(card["dropped"].values())
    assert all(row["reason"] and row["filter"] and row["row"] for row in stayed)
    return card


def test_each_row_leaves_or_stays_with_its_reason(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "rows.jsonl",
        chat("What is 4 + 3?", "So 7."),
        chat("what is 4+3", "so 7"),
        chat("What is 4 + 5?", "So 9."),
        chat(TRAIN),
        chat("Whom shall I ask?", f"Write to {MAIL}."),
        chat("And now?", "I must think about this one more time. " * 30),
        chat("Show it.", "```python\nprint("),
        "{not json",
        '["a list"]',
        {"messages": 5},
        chat("Under which licence?", "GPL.", licence="GPL-3.0"),
        chat("Too easy?", "Yes.", meta={"solved": 1.0}),
        chat("Just right?", "Yes, quite.", meta={"solved": 0.5}),
    )
    against = tasks(tmp_path / "bench.jsonl", TRAIN)
    report = gate(
        [rows],
        tmp_path / "out.jsonl",
        Rules(against=(("bench", str(against)),), licence="MIT", allowed=("mit", "Apache-2.0")),
        command="maieutic gate rows.jsonl",
    )
    card = adds_up(report)
    once = ("contaminated", "cut short", "difficulty", "duplicate", "licence", "loop")
    assert card["dropped"] == {**dict.fromkeys(once, 1), "unreadable": 3}
    assert [row["messages"][0]["content"] for row in read(report.out)][:3] == [
        "What is 4 + 3?",
        "What is 4 + 5?",
        "Whom shall I ask?",
    ]
    assert card["redacted_values"] == {"EMAIL": 1} and card["redacted_rows"] == 1
    assert card["against"][0]["rows_dropped"] == 1 and card["against"][0]["questions"] == 1
    assert card["licences"] == {"MIT": report.rows_out}
    assert card["command"] == "maieutic gate rows.jsonl"
    assert card["sources"][0]["sha256"] and "difficulty of" in card["notes"][0]
    readable = report.card.with_suffix(".md").read_text()
    assert readable.startswith("---\nlicense: mit\n---\n") and "| contaminated | 1 |" in readable
    assert read(report.dropped_file)[0] == {
        "source": str(rows),
        "row": 2,
        "filter": "duplicate",
        "reason": "exact duplicate",
    }


def test_nothing_that_was_found_is_told_on_the_way(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", chat(f"I am {MAIL}", f"{KEY}"), chat("a", f"{KEY}", licence=f"by {MAIL}"))
    gate([rows], tmp_path / "out.jsonl")
    for path in tmp_path.glob("out*"):
        assert MAIL not in path.read_text() and KEY not in path.read_text(), path


def test_the_same_rows_give_the_same_bytes_and_failures_leave_nothing(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", chat(TRAIN), chat(TRAIN.replace("60", "70")), chat(TRAIN))
    once = {
        path.name: path.read_bytes() for _ in [gate([rows], tmp_path / "out.jsonl")] for path in tmp_path.glob("o*")
    }
    assert len(once) == 4
    gate([rows], tmp_path / "out.jsonl")
    assert {path.name: path.read_bytes() for path in tmp_path.glob("o*")} == once
    bench = tasks(tmp_path / "bench.jsonl", TRAIN, TRAIN.replace("60", "70"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"None of 3 rows may leave \(3 contaminated\): no file was written"):
        gate([rows], tmp_path / "none.jsonl", Rules(against=(("bench", str(bench)),)))
    with pytest.raises(UserError, match="nothing at .*nowhere"):
        gate([tmp_path / "nowhere"], tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="a folder without traces"):
        empty = tmp_path / "empty"
        empty.mkdir()
        gate([empty], tmp_path / "none.jsonl")
    empty.rmdir()  # pyright: ignore[reportPossiblyUnboundVariable]
    assert sorted(tmp_path.iterdir()) == before


def test_duplicates_are_found_across_sources(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.jsonl", chat(TRAIN)), write(tmp_path / "2.jsonl", chat(TRAIN, "Answer:  2"))
    report = gate([one, two], tmp_path / "out.jsonl")
    assert (report.rows_out, read(report.dropped_file)[0]["source"]) == (1, str(two))


def runs(
    root: Path, question: str = TRAIN, ids: bool = False, outcomes: tuple[str, ...] = ("correct", "wrong")
) -> Path:
    """Two groups of runs: one sometimes solved, the other always."""
    with TraceStore(root) as store:
        for group, verdicts in (("some", outcomes), ("all", ("correct", "correct"))):
            for number, outcome in enumerate(verdicts):
                asked = TRAIN if group == "some" else "What is 4 + 3?"
                run_id = f"{group}{number}"
                task = {"id": group, "question": asked, "answer_type": "number"}
                run = store.open_run(header(run_id, task_key=group, group_id=group, sample=number, task=task))
                messages: tuple[Message, ...] = ({"role": "user", "content": asked},)
                prompt = (1, 2) if ids else None
                sampled = (3, number) if ids else None
                run.call(call(run_id, "a", prompt, sampled, messages=messages, text=f"By {MAIL}.\nAnswer: 2"))
                run.finish(answer="2", answer_call="a", outcome=outcome, score=1.0, partial=False)
    return root


def test_folders_of_traces_are_exported_first_and_the_card_says_how(tmp_path: Path) -> None:
    report = gate([runs(tmp_path / "traces")], tmp_path / "out.jsonl")
    [row] = read(report.out)
    assert row["messages"][0]["content"] == TRAIN and "[EMAIL_1]" in row["messages"][1]["content"]
    made = adds_up(report)["sources"][0]["export"]
    assert made["runs_dropped"] == {"difficulty: always solved": 2, "wrong": 1}
    assert (made["recipe"], made["format"], made["runs_seen"], made["calls_by_weights"]) == ("solved", "openai", 4, {})
    both = gate([tmp_path / "traces"], tmp_path / "both.jsonl", Rules(difficulty=None))
    assert both.rows_out == 2


def test_replies_cut_short_are_left_out_though_no_row_would_tell(tmp_path: Path) -> None:
    with TraceStore(tmp_path / "traces") as store:
        for number, reason in enumerate(("stop", "length")):
            run = store.open_run(header(f"r{number}", task={"question": "2+2?"}))
            run.call(call(f"r{number}", "a", None, None, text=f"It is {number}", finish_reason=reason))
            run.finish(answer="4", answer_call="a", outcome="correct", score=1.0, partial=False)
    making = Making(recipe="runs")
    report = gate([tmp_path / "traces"], tmp_path / "out.jsonl", Rules(difficulty=None), making)
    assert [row["messages"][-1]["content"] for row in read(report.out)] == ["It is 0"]
    assert json.loads(report.card.read_text())["sources"][0]["export"]["items_cut_short_or_looping"] == 1
    assert (
        gate([tmp_path / "traces"], tmp_path / "o.jsonl", Rules(difficulty=None, endings=False), making).rows_out == 2
    )


@pytest.mark.parametrize("format", ["openai", "sharegpt", "plain", "trl-sft", "atif", "verifiers", "otel"])
def test_rows_of_every_format_are_looked_through(tmp_path: Path, format: str) -> None:
    root = runs(tmp_path / "traces", outcomes=("correct",))
    rows = export(root, "runs", format, tmp_path / "rows.jsonl").out
    clean = gate([rows], tmp_path / "clean.jsonl")
    assert clean.rows_out and clean.redacted["EMAIL"] == clean.rows_out
    assert MAIL not in clean.out.read_text()
    bench = tasks(tmp_path / "bench.jsonl", TRAIN)
    held = gate([rows], tmp_path / "held.jsonl", Rules(against=(("bench", str(bench)),)))
    assert (held.dropped["contaminated"], held.rows_out) == (1, clean.rows_out - 1)
    adds_up(held)


@pytest.mark.parametrize(
    ("recipe", "format"), [("step_dpo", "trl-dpo"), ("step_dpo", "trl-kto"), ("edge_of_ability", "trl-grpo")]
)
def test_pairs_and_prompts_are_looked_through(tmp_path: Path, recipe: str, format: str) -> None:
    root, bench = tmp_path / "traces", tasks(tmp_path / "bench.jsonl", TRAIN)
    with TraceStore(root) as store:
        for number, outcome in enumerate(("correct", "wrong")):
            task = {"id": "t", "question": TRAIN, "answer_type": "number"}
            run = store.open_run(header(f"r{number}", group_id="g", sample=number, task=task))
            messages: tuple[Message, ...] = ({"role": "user", "content": TRAIN},)
            run.call(call(f"r{number}", "a", messages=messages, text=f"Answer: {number}"))
            run.finish(answer="2", answer_call="a", outcome=outcome, score=1.0, partial=False)
    source = write(tmp_path / "tasks.jsonl", {"id": "t", "question": TRAIN, "gold": "0", "answer_type": "number"})
    rows = export(root, recipe, format, tmp_path / "rows.jsonl", tasks=str(source)).out
    assert gate([rows], tmp_path / "out.jsonl").rows_out == len(read(rows))
    with pytest.raises(UserError, match="contaminated"):
        gate([rows], tmp_path / "none.jsonl", Rules(against=(("bench", str(bench)),)))


def test_ids_beside_a_text_that_would_be_replaced_do_not_leave(tmp_path: Path) -> None:
    rows = export(runs(tmp_path / "traces", ids=True), "runs", "verifiers", tmp_path / "rows.jsonl").out
    clean = gate([rows], tmp_path / "o.jsonl", Rules(personal=False))
    with pytest.raises(UserError, match="not to be redacted"):
        gate([rows], tmp_path / "out.jsonl")
    assert clean.rows_out > 0


def test_token_ids_are_read_by_their_tokenizer(tmp_path: Path) -> None:
    known = ["what", "is", "four", MAIL, "seven", "<end>"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(known)}, unk_token="<end>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(tmp_path / "tokenizer.json"))
    rows = write(
        tmp_path / "rows.jsonl",
        {"input_ids": [0, 1, 2, 4, 5], "labels": [-100, -100, -100, 4, 5]},
        {"input_ids": [0, 1, 4, 3, 5], "labels": [-100, -100, -100, 3, 5]},
        {"input_ids": [0, 1, 4, 2, 5], "labels": [-100, -100, -100, 2, 5]},
    )
    with pytest.raises(UserError, match=r"rows.jsonl:1 holds token ids: say with --tokenizer"):
        gate([rows], tmp_path / "out.jsonl")
    bench = tasks(tmp_path / "bench.jsonl", "What is seven?")
    rules = Rules(tokenizer=str(tmp_path), against=(("bench", str(bench)),))
    report = gate([rows], tmp_path / "out.jsonl", rules)
    assert [row["input_ids"][2] for row in read(report.out)] == [2]
    assert report.dropped == {"contaminated": 2}
    report = gate([rows], tmp_path / "out.jsonl", Rules(tokenizer=str(tmp_path)))
    assert report.dropped == {"not to be redacted": 1}
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no tokenizer.json"):  # and the hub is not asked for it
        decoder(str(tmp_path / "empty"))
    with pytest.raises(UserError, match="can't be loaded"):
        gate([rows], tmp_path / "out.jsonl", Rules(tokenizer=str(bench)))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"near": 0.2}, "between 0.5 and 1"),
        ({"difficulty": (0.5, 0.5)}, "the lower one first"),
        ({"against": (("a", "x"), ("a", "y"))}, "have one name"),
    ],
)
def test_rules_that_make_no_sense(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        Rules(**fields)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write(tmp_path / "rows.jsonl", chat(TRAIN), chat("Whom shall I ask?", f"Write to {MAIL}."))
    bench = tasks(tmp_path / "mine.jsonl", TRAIN)
    asked = ["gate", str(rows), "--out", str(tmp_path / "out.jsonl"), "--against", str(bench), "--licence", "MIT"]
    with pytest.raises(SystemExit) as stopped:
        main(asked)
    said = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "1 of 2 rows in" in said and "stayed behind: 1 contaminated" in said
    assert "1 rows held one of 1 questions of mine" in said and "replaced in 1 rows: 1 EMAIL" in said
    with pytest.raises(SystemExit):
        main([*asked, "--json", "--difficulty", "0.2:0.8"])
    assert json.loads(capsys.readouterr().out)["rules"]["difficulty"] == [0.2, 0.8]
    with pytest.raises(SystemExit) as stopped:
        main([*asked, "--difficulty", "hard"])
    assert stopped.value.code == 2 and "not LOW:HIGH" in capsys.readouterr().err


def test_the_command_tells_what_became_of_the_runs_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs(tmp_path / "traces", outcomes=("correct", "wrong", "wrong"))
    with pytest.raises(SystemExit):
        main(["gate", str(tmp_path / "traces"), "--out", str(tmp_path / "out.jsonl"), "--any-difficulty"])
    assert f"of {tmp_path / 'traces'}: 3 of 5 runs; left out: 2 wrong" in capsys.readouterr().out


def test_a_folder_for_the_hub_has_the_card_as_its_readme(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: folders for the Hub were NOT checked")
    rows = write(tmp_path / "rows.jsonl", chat("What is 4 + 3?"))
    report = gate([rows], tmp_path / "set", Rules(licence="Apache-2.0"), kind="hf")
    readable = (tmp_path / "set" / "README.md").read_text()
    assert readable.startswith("---\nlicense: apache-2.0\nconfigs:\n") and report.dropped_file.parent == tmp_path
