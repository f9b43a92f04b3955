"""Small errors that algebra confirms, programs followed state by state, and paths of peers."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.recipes.formats.trl_sft import MASKED
from maieutic.recipes.items import Dialogue, Episode, Pair, Prompt, Spans
from maieutic.recipes.recipe import Tally, find_format
from maieutic.recipes.rise_edit import by_rule, equations, is_subtle
from maieutic.recipes.straight_line import stretches
from tests.recipes.runs import Event, Runs, Taught, by_words
from tests.trace.builders import call


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


# --- rise_edit ---


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("So 2 + 3 = 5 apples.", [True]),
        ("2 + 3 = 6", [False]),
        ("First 2 × 3 = 6, then 6 ÷ 4 = 1.5.", [True, True]),
        ("2 * (3 + 1) = 2 * 4 = 8", [True, True]),
        ("1,000 + 500 = 1,500", [True]),
        ("x = 5", []),
        ("It is 7.", []),
    ],
)
def test_equations_are_read_and_checked(text: str, found: list[bool]) -> None:
    assert equations(text) == found


@pytest.mark.parametrize(
    ("edited", "subtle"),
    [
        ("So 2 + 3 = 6 apples.", True),
        ("So 3 + 2 = 5 apples.", False),  # swapped, and still right
        ("So 2 + 3 = 5 pears.", False),  # nothing that algebra could tell
        ("So there are six.", False),  # the equation is gone
        ("All of them together, 2 and 3, that is 2 + 3 = 6 apples.", False),  # too much is changed
    ],
)
def test_an_edit_counts_only_where_it_breaks_an_equation_with_few_words(edited: str, subtle: bool) -> None:
    assert is_subtle("So 2 + 3 = 5 apples.", edited) is subtle


def test_every_rule_makes_edits() -> None:
    made = list(by_rule("7 - 2 = 5, and 5 + 3 = 8"))
    assert {kind for kind, _ in made} == {"number", "swap", "drop"}
    assert ("swap", "2 - 7 = 5, and 5 + 3 = 8") in made


def solved(runs: Runs) -> None:
    runs.add("8", "correct", calls=[call("r000", "a", text="7 - 2 = 5\nThen 5 + 3 = 8\nAnswer: 8")])
    runs.add("9", "wrong", calls=[call("r001", "a", text="7 + 2 = 9\nAnswer: 9")])


def test_sides_are_the_same_up_to_the_error_and_end_there(runs: Runs) -> None:
    solved(runs)
    items, _ = runs.through("rise_edit", rows="edits")
    assert len(items) == 2
    for pair in items:
        assert isinstance(pair, Pair)
        chosen, rejected = str(pair.chosen.message["content"]), str(pair.rejected.message["content"])
        same = pair.meta["differs"]["chosen"][0]
        assert chosen != rejected and chosen[:same] == rejected[:same]
        assert "7 - 2 = 5\nThen 5 + 3 = 8\nAnswer: 8".startswith(chosen) and "Answer" not in chosen
        assert all(equations(chosen)) and not all(equations(rejected))
    [samples], _ = runs.through("rise_edit", rows="samples")
    assert isinstance(samples, Pair) and samples.kind == "samples" and samples.chosen.call is not None


async def test_the_models_own_edit_is_checked_in_the_same_way(runs: Runs, tmp_path: Path) -> None:
    solved(runs)
    taught = Taught(runs, tmp_path / "asked")
    model = by_words({"7 - 2 = 5\n\nEnd": "Answer: 7 - 2 = 6", "Then 5 + 3": "Answer: Then 3 + 5 = 8"})
    await taught.ask("rise_edit", model, how="model", rows="edits")
    [pair], tally = taught.rows("rise_edit", how="model", rows="edits")
    assert isinstance(pair, Pair) and pair.rejected.message["content"] == "7 - 2 = 6"
    assert tally.counts["steps_without_a_subtle_error"] == 1


# --- trace_codegen ---


def states(program: str) -> list[Any]:
    return [part.state for part in stretches(program)]


def test_a_state_is_its_values_without_their_names() -> None:
    assert states("b = 3\na = b / 2\nprint(a)") == [(3,), (Fraction(3, 2), 3), (Fraction(3, 2), 3)]
    assert states("x = 3\ny = x * 0.5") == states("u = 3\nv = 1.5")


@pytest.mark.parametrize(
    "line", ["a = open('x')", "import os", "a = 1 / 0", "a = 9 ** 9 ** 9", "a = missing", "a = True", "a = [1]"]
)
def test_what_is_no_arithmetic_ends_the_states(line: str) -> None:
    assert states(f"b = 2\n{line}\nc = 3") == [(2,), None, None]
    assert states("a = (") == []


def programs(runs: Runs, *codes: tuple[str, str]) -> None:
    for n, (code, outcome) in enumerate(codes):
        runs.add(outcome[:1], outcome, calls=[call(f"r{n:03}", "a", text=f"<code>\n{code}\n</code>")])


def test_the_beginning_of_a_wrong_program_reaches_to_the_last_state_that_is_known(runs: Runs) -> None:
    programs(
        runs,
        ("a = 2\nb = 3\nc = a * b\nd = c + 1", "correct"),
        ("n = 2\nm = 3\nk = n + m\nd = k * 2", "wrong"),
        ("n = 2\nx = 9", "wrong"),  # its beginning is the beginning of another one
        ("y = 8", "wrong"),
    )
    items, _ = runs.through("trace_codegen")
    [whole] = [item for item in items if isinstance(item, Dialogue)]
    [begun] = [item for item in items if isinstance(item, Spans)]
    assert whole.meta["statements"] == 4
    text = str(begun.reply.message["content"])
    assert text == "n = 2\nm = 3"
    assert [(text[a:b], weight) for a, b, weight in begun.spans] == [("n = 2", 1.0), ("m = 3", 1.0)]
    starts = [item for item in runs.through("trace_codegen", rows="starts")[0] if isinstance(item, Prompt)]
    assert [item.messages[-1]["content"] for item in starts] == ["n = 2\nm = 3"]


def test_right_programs_longer_than_the_shortest_are_left_out(runs: Runs) -> None:
    programs(runs, ("a = 2\nb = a + 2", "correct"), ("a = 2\nb = 1\nc = b + 1\nd = a + c", "correct"))
    items, tally = runs.through("trace_codegen")
    assert len(items) == 1 and tally.dropped == {"longer than the shortest right program": 1}
    assert len(runs.through("trace_codegen", tolerance=2)[0]) == 2


def test_without_programs_it_is_said(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="found no programs"):
        runs.through("trace_codegen")


# --- leap_t ---


def path(run: str, name: str, answer: str, summary: int = 3) -> tuple[list[Any], Event]:
    """A path that thinks, sums up, reads 7 8 9 of its peers, and ends."""
    own = {"branch": f"think/{name}", "role": "peer"}
    calls = [
        call(run, f"{name}-1", (1,), (2, 3), text="Hm.", finish_reason="length", **own),  # pyright: ignore[reportArgumentType]
        call(run, f"{name}-2", (1, 2, 3, 4), range(10, 10 + summary), text="So far.", **own),  # pyright: ignore[reportArgumentType]
    ]
    before = (1, 2, 3, 4, *range(10, 10 + summary))
    calls.append(call(run, f"{name}-3", (*before, 7, 8, 9), (5, 6), text=f"Answer: {answer}", **own))  # pyright: ignore[reportArgumentType]
    return calls, ("note", {"call_id": f"{name}-2", "path": name, "turn": 1, "summary": "So far."})


def test_right_paths_are_learnt_and_what_peers_wrote_is_not(runs: Runs) -> None:
    (good, one), (bad, two) = path("r000", "path-1", "4"), path("r000", "path-2", "5")
    runs.add("4", "correct", calls=[*bad, *good], events=[one, two], graph="peers")
    items, _ = runs.through("leap_t")
    [item] = items
    assert isinstance(item, Episode) and item.meta["path"] == "path-1"
    [row] = list(find_format("trl-sft")(items, Tally()))
    learnt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != MASKED]
    assert learnt == [2, 3, 10, 11, 12, 5, 6] and {7, 8, 9} < set(row["input_ids"])


@pytest.mark.parametrize("length", [256, 300])
def test_a_path_with_a_long_summary_is_left_out(runs: Runs, length: int) -> None:
    calls, note = path("r000", "path-1", "4", summary=length)
    runs.add("4", "correct", calls=calls, events=[note])
    items, tally = runs.through("leap_t")
    assert items == [] and tally.counts["right_paths_with_long_or_missing_summaries"] == 1


def test_a_summary_that_says_nothing_is_not_short(runs: Runs) -> None:
    calls, (kind, fields) = path("r000", "path-1", "4")
    runs.add("4", "correct", calls=calls, events=[(kind, {**fields, "summary": None})])
    assert runs.through("leap_t")[0] == []


def test_a_right_path_of_a_run_whose_vote_went_wrong_is_taken_where_the_answer_is_known(runs: Runs) -> None:
    calls, note = path("r000", "path-1", "4")
    others, other = path("r000", "path-2", "5")
    runs.add("5", "wrong", calls=[*calls, *others], events=[note, other])
    assert runs.through("leap_t")[0] == []
    runs.add("4", "correct")
    assert len(runs.through("leap_t")[0]) == 1


def test_without_peers_the_graph_is_named(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="--graph peers"):
        runs.through("leap_t")
