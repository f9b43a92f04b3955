"""Two models write one thought: the small one, and the large one where the small one looks back."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.leaning import Words
from maieutic.errors import ModelError, UnknownName
from maieutic.graphs.speculative import RECAP
from maieutic.llm.scripted import MESSAGE_END, ScriptedModel, decode, encode
from maieutic.runner import open_runner
from maieutic.runner.replay import Recording
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Request, Sampling
from tests.conftest import Ask

OPENED = "First, 4 + 3 = 8."
END = " So it is 7.\nAnswer: 7"


def the_run(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (summary,) = reader.runs()
        return reader.run(summary.run_id)


def gates(tmp_path: Path, name: str = "handover") -> list[dict[str, Any]]:
    events = the_run(tmp_path).events_of("gate")
    return [{**e.fields["inputs"], "decision": e.fields["decision"]} for e in events if e.fields["gate"] == name]


def paragraph(text: str) -> Completion:
    """A paragraph as vLLM gives it: the stop string is in the tokens and not in the text."""
    return Completion(text, finish_reason="stop", token_ids=encode(text + "\n\n"))


def piece(text: str) -> Completion:
    """What was cut after so many tokens."""
    return Completion(text, finish_reason="length")


async def play(
    ask: Ask, small: Any, large: Any, sampling: Sampling = Sampling(), **settings: Any
) -> tuple[Any, ScriptedModel, ScriptedModel]:
    models = ScriptedModel(small, name="small"), ScriptedModel(large, name="large")
    result = await ask(
        models[0], "speculative", models={"large": models[1]}, graph_settings=settings, sampling=sampling
    )
    return result, *models


def prompt(model: ScriptedModel, number: int) -> str:
    return decode(model.requests[number].prompt_ids or ())


@pytest.mark.parametrize("word", ["Wait, is", "Yes, so", "Let me verify"])
async def test_where_it_looks_back_the_large_model_writes_instead(ask: Ask, tmp_path: Path, word: str) -> None:
    script = [paragraph(OPENED), piece(f"{word} it right"), END]
    result, small, large = await play(ask, script, [piece("Hmm, 4 + 3 is 7,")], verification=0)
    assert result.answer == "7"
    assert prompt(large, 0).endswith(f"{OPENED}\n\n")  # from the same point, and the probe is gone
    assert prompt(small, 2).endswith(f"{OPENED}\n\nHmm, 4 + 3 is 7,")
    assert result.text == f"{OPENED}\n\nHmm, 4 + 3 is 7,{END}"
    (gate,) = gates(tmp_path)
    assert (gate["decision"], gate["probe"], gate["taken"]) == ("large", "c2", "c3")


async def test_first_words_that_trigger_nothing_stay(ask: Ask, tmp_path: Path) -> None:
    """They are not sampled anew: that would cost calls, and favour words that trigger something."""
    result, small, large = await play(ask, [paragraph(OPENED), piece("Then 8 - 1"), END], [])
    assert result.text == f"{OPENED}\n\nThen 8 - 1{END}" and not large.requests
    assert prompt(small, 2).endswith("\n\nThen 8 - 1")
    assert [(gate["decision"], gate["leaning"]) for gate in gates(tmp_path)] == [("small", 0)]


async def test_pieces_have_their_lengths_whatever_the_run_asks_for(ask: Ask) -> None:
    small = [paragraph(OPENED), piece("Wait, is it"), END]
    large = [piece("Let me check this:"), piece("4 + 3 is 7.")]
    _, one, other = await play(ask, small, large, Sampling(max_tokens=4000))
    assert [request.sampling.max_tokens for request in one.requests] == [1024, 20, 1024]
    assert [request.sampling.max_tokens for request in other.requests] == [20, 125]
    assert [request.sampling.stop for request in one.requests] == [("\n\n",), (), ("\n\n",)]
    assert prompt(one, 2).endswith("Let me check this:4 + 3 is 7.")


async def test_without_a_word_that_verifies_the_large_model_writes_no_more(ask: Ask) -> None:
    _, _, large = await play(ask, [paragraph(OPENED), piece("Wait, is it"), END], [piece("Alternatively, 4 + 3")])
    assert len(large.requests) == 1


async def test_always_hands_over_at_every_paragraph(ask: Ask) -> None:
    small = [paragraph(OPENED), piece("Then 8"), paragraph(" - 1."), piece("So"), END]
    _, _, large = await play(ask, small, piece("I see that"), always=True)
    assert len(large.requests) == 2


async def test_the_large_model_may_begin(ask: Ask) -> None:
    result, small, large = await play(ask, [END], [piece("I count:")], opening=100)
    assert large.requests[0].sampling.max_tokens == 100 and large.requests[0].prompt_ids is None
    assert prompt(small, 0).endswith("I count:") and result.text == f"I count:{END}"


def doubting(request: Request) -> Completion:
    """Reflects at every paragraph and never ends."""
    return paragraph(" more") if request.sampling.stop else piece("Wait, but")


async def test_after_many_reflections_it_looks_for_wrong_steps_later_and_longer_each_time(
    ask: Ask, tmp_path: Path
) -> None:
    _, _, large = await play(ask, doubting, piece("Wait, hold on"), paragraphs=120)
    recaps = [gate for gate in gates(tmp_path) if gate["decision"] == "recap"]
    assert [gate["after"] for gate in recaps] == [15, 20, 25, 30]
    assert [gate["most"] for gate in recaps] == [125, 150, 175, 200]
    (first, *_) = [decode(r.prompt_ids or ()) for r in large.requests if r.sampling.max_tokens == 125]
    assert first.endswith(f"\n\n{RECAP} ")


async def test_it_ends_when_the_paragraphs_or_the_tokens_are_used_up(ask: Ask, tmp_path: Path) -> None:
    _, small, large = await play(ask, doubting, piece("Wait, hold on"), paragraphs=3)
    assert (len(small.requests), len(large.requests)) == (1 + 3 * 2 + 1, 3)
    assert gates(tmp_path)[-1]["decision"] == "alone"
    assert small.requests[-1].sampling.stop == ()


async def test_a_runs_own_max_tokens_bounds_the_whole_thought(ask: Ask) -> None:
    _, small, large = await play(ask, doubting, piece("Wait, hold on"), Sampling(max_tokens=40))
    assert small.requests[0].sampling.max_tokens == 40
    assert len(small.requests) + len(large.requests) < 10


async def test_a_large_model_that_fails_leaves_the_small_ones_words(ask: Ask, tmp_path: Path) -> None:
    small = [paragraph(OPENED), piece("Wait, is it"), END]
    result, one, _ = await play(ask, small, ModelError("The server has a bad day."))
    assert result.answer == "7" and prompt(one, 2).endswith("Wait, is it")
    assert [gate["decision"] for gate in gates(tmp_path)] == ["failed"]


async def test_what_a_model_shows_behind_the_end_of_a_paragraph_is_dropped(ask: Ask) -> None:
    result, small, _ = await play(ask, [f"{OPENED}\n\nWait,", piece("Then 8 - 1"), END], [])
    assert result.text == f"{OPENED}\n\nThen 8 - 1{END}"
    assert prompt(small, 1).endswith(f"{OPENED}\n\n")


async def test_a_turn_that_ends_by_itself_ends_the_thought(ask: Ask) -> None:
    """The end of a turn and the end of a paragraph have the same finish reason."""
    ended = Completion("Answer: 7", finish_reason="stop", token_ids=(*encode("Answer: 7"), MESSAGE_END))
    result, small, _ = await play(ask, [ended], [])
    assert (result.answer, len(small.requests)) == ("7", 1)


async def test_a_run_that_is_resumed_asks_neither_model_twice(ask: Ask, tmp_path: Path) -> None:
    script = [paragraph(OPENED), piece("Wait, is it"), END]
    result, _, _ = await play(ask, script, [piece("Hmm, 4 + 3 is 7,")])
    small, large = ScriptedModel(script[2:], name="small"), ScriptedModel([], name="large")
    record = the_run(tmp_path)
    calls = tuple(call for call in record.calls if call.call_id in ("c1", "c2", "c3"))
    past = Recording(RunRecord(record.header, calls, record.events, None))
    async with open_runner("speculative", model=small, models={"large": large}, traces=tmp_path / "second") as runner:
        again = await runner.start(Task(question="What is 4 + 3?"), seed=0, past=past).result()
    assert again.text == result.text and (len(small.requests), len(large.requests)) == (1, 0)


async def test_step_by_step_where_the_models_can_not_go_on(ask: Ask, tmp_path: Path) -> None:
    small = ["4 + 3 = 8.", "Wait, is that right? " + "I think so. " * 9, "Answer: 7"]
    result, one, other = await play(ask, small, ["No: 4 + 3 = 7."], form="chat")
    assert result.answer == "7"
    assert all(r.prompt_ids is None and not r.continue_final for r in (*one.requests, *other.requests))
    shown = [str(r.messages[1]["content"]) for r in (*one.requests, *other.requests)]
    assert shown[0].endswith("So far:\nnothing") and shown[1].endswith("So far:\n4 + 3 = 8.")
    assert shown[3] == shown[1] and shown[2].endswith("So far:\n4 + 3 = 8.\n\nNo: 4 + 3 = 7.")
    assert [gate["decision"] for gate in gates(tmp_path, "form")] == ["chat"]
    assert [gate["decision"] for gate in gates(tmp_path)] == ["large", "small"]


async def test_a_step_without_words_or_an_answer_ends_a_chat(ask: Ask) -> None:
    for last in ("", "Answer: 7"):
        _, small, _ = await play(ask, ["4 + 3 = 7.", last], [], form="chat")
        assert len(small.requests) == 2


@pytest.mark.parametrize(
    ("text", "leaning"),
    [
        ("Yes, that is it", 1),
        ("Wait", -1),
        ("Yes, but wait", -1),
        ("I am checking", -1),
        ("So 4 + 3 is 7", 0),
        ("We await the eyes", 0),
        ("The final answer: yes. Wait", 1),
    ],
)
def test_words_are_counted_and_a_tie_is_a_reflection(text: str, leaning: int) -> None:
    assert Words().leaning(text) == leaning


async def test_a_model_for_a_role_that_nobody_plays_is_refused(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    for role, settings in [("learge", {}), ("large", {"large": "teacher"})]:
        with pytest.raises(UnknownName, match=f"no role named '{role}'"):
            await ask(model, "speculative", models={role: model}, graph_settings=settings)
    await ask(model, "speculative", models={"teacher": model}, graph_settings={"large": "teacher"})
