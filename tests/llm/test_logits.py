"""Reflection words by logits: the schedules' golden values, what a request says, and which tokens are meant."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.llm.in_box.chat import Chat
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.llm.logits import (
    WORDS,
    cyclic_reflex,
    reflection_token_ids,
    spellings,
    tip,
    triangle,
)

PLUGIN = Path(__file__).resolve().parents[2] / "maieutic" / "serving" / "plugin"


@pytest.fixture(scope="module")
def schedule() -> ModuleType:
    """The plugin's plain part, loaded as vLLM loads it: from its folder, not from the package."""
    spec = importlib.util.spec_from_file_location("maieutic_schedule", PLUGIN / "maieutic_schedule.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["maieutic_schedule"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    del sys.modules["maieutic_schedule"]
    return module


# Amplitude 5 and period 1200, as published: up in 300 tokens, down through 0 at 600, up again from 900.
GOLDEN = [
    (0, 0.0), (1, 5 / 300), (60, 1.0), (150, 2.5), (299, 5 - 5 / 300), (300, 5.0), (301, 5 - 5 / 300), (450, 2.5),
    (600, 0.0), (601, -5 / 300), (750, -2.5), (899, -5 + 5 / 300), (900, -5.0), (901, -5 + 5 / 300), (1050, -2.5),
    (1199, -5 / 300), (1200, 0.0), (1500, 5.0), (2100, -5.0),
]  # fmt: skip


@pytest.mark.parametrize(("position", "expected"), GOLDEN)
def test_the_triangle_has_its_golden_values(schedule: ModuleType, position: int, expected: float) -> None:
    assert triangle(position, 5, 1200) == pytest.approx(expected, abs=1e-9)
    assert schedule.cyclic(position, 5, 1200) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("amplitude", "period", "shift"), [(1, 600, 0), (3, 600, 150), (5, 7.5, -2), (4, 900, 1e6)])
def test_the_plugin_and_the_host_agree_on_the_triangle(
    schedule: ModuleType, amplitude: float, period: float, shift: float
) -> None:
    for position in range(2000):
        assert triangle(position, amplitude, period, shift) == schedule.cyclic(position, amplitude, period, shift)


def test_over_a_period_the_triangle_adds_up_to_nothing() -> None:
    assert sum(triangle(t, 5, 1200) for t in range(1200)) == pytest.approx(0, abs=1e-6)
    assert max(triangle(t, 5, 1200) for t in range(1200)) == 5
    assert min(triangle(t, 5, 1200) for t in range(1200)) == -5


def test_a_shift_moves_the_triangle_to_the_left() -> None:
    assert [triangle(t, 8, 8, shift=2) for t in range(9)] == [8, 4, 0, -4, -8, -4, 0, 4, 8]


def setting(schedule: ModuleType, extra: dict[str, Any]) -> Any:
    """What the plugin reads from a request's JSON."""
    return schedule.read(json.loads(json.dumps(extra))["vllm_xargs"])


def deltas(schedule: ModuleType, extra: dict[str, Any], output: list[int], end: tuple[int, ...] = ()) -> list[Any]:
    """What is added at each position while this output is being written, one token after the other."""
    wanted = setting(schedule, extra)
    said: list[int] = []
    progress = schedule.Progress(wanted, said, end if wanted.end is None else wanted.end)
    found = [progress.delta()]
    for token in output:
        said.append(token)
        found.append(progress.delta())
    return found


def test_a_request_says_what_the_plugin_reads(schedule: ModuleType) -> None:
    read = setting(schedule, cyclic_reflex([7, 9], amplitude=3, period=600, shift=10, end_think=5, start=4))
    assert read == schedule.Setting("cyclic", (7, 9), (5,), 4, 8192, amplitude=3.0, period=600.0, shift=10.0)
    read = setting(schedule, tip((7, 9), end_think=[5, 6]))
    assert read == schedule.Setting("tip", (7, 9), (5, 6), penalty=3.0, window=600)
    assert setting(schedule, tip([7], window=None, until=99)).window == 0
    assert setting(schedule, cyclic_reflex([7])).end is None
    assert setting(schedule, cyclic_reflex([7], end_think=())).end == ()


def test_the_defaults_are_the_published_ones(schedule: ModuleType) -> None:
    read = setting(schedule, cyclic_reflex([7]))
    assert (read.amplitude, read.period, read.shift, read.start, read.until) == (5, 1200, 0, 0, 8192)


def test_the_first_token_is_at_position_0(schedule: ModuleType) -> None:
    extra = cyclic_reflex([7], amplitude=8, period=8)
    assert deltas(schedule, extra, [1] * 8) == [0, 4, 8, 4, 0, -4, -8, -4, 0]


def test_a_continued_call_goes_on_where_it_was(schedule: ModuleType) -> None:
    extra = cyclic_reflex([7], amplitude=8, period=8, start=2, until=6)
    assert deltas(schedule, extra, [1] * 5) == [8, 4, 0, -4, None, None]


def test_nothing_is_changed_after_the_end_of_the_thinking(schedule: ModuleType) -> None:
    extra = tip([7], penalty=3, window=None)
    assert deltas(schedule, extra, [1, 5, 7, 1], end=(5,)) == [-3, -3, None, None, None]
    assert deltas(schedule, tip([7], window=None, end_think=[]), [1, 5, 7], end=(5,)) == [-3] * 4


def test_an_end_of_several_tokens_is_met_whole_only(schedule: ModuleType) -> None:
    extra = tip([7], window=None, end_think=[4, 5, 5])
    assert deltas(schedule, extra, [4, 5, 4, 5, 5, 5]) == [-3, -3, -3, -3, -3, None, None]


def test_a_penalty_holds_for_its_window_in_each_thought(schedule: ModuleType) -> None:
    extra = tip([7], penalty=3, window=3)
    assert deltas(schedule, extra, [1, 1, 1, 1, 7, 1, 1, 1]) == [-3, -3, -3, 0, 0, -3, -3, 0, 0]


def test_tokens_that_are_not_known_yet_are_looked_at_later(schedule: ModuleType) -> None:
    wanted = setting(schedule, tip([7], window=None, end_think=5))
    output = [1, -1]
    progress = schedule.Progress(wanted, output, wanted.end)
    assert progress.delta() == -3
    output[1] = 5
    assert progress.delta() is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "up"}, "reflection_mode must be cyclic or tip, not 'up'"),
        ({"tokens": [7]}, "reflection_mode must be cyclic or tip, not None"),
        ({"mode": "tip", "tokens": [7]}, "reflection_penalty must be a number, not None"),
        ({"mode": "tip", "tokens": [], "penalty": 3}, "reflection_tokens must be a list of token ids"),
        ({"mode": "tip", "tokens": [-7], "penalty": 3}, "reflection_tokens must be a list of token ids"),
        ({"mode": "tip", "tokens": ["7"], "penalty": 3}, "reflection_tokens must be a list of token ids"),
        ({"mode": "tip", "tokens": [7] * 5000, "penalty": 3}, "reflection_tokens must be a list of token ids"),
        ({"mode": "tip", "tokens": [7], "penalty": 3, "period": 9}, "The mode tip does not know reflection_period"),
        ({"mode": "tip", "tokens": [7], "penalty": float("inf")}, "reflection_penalty must be a number"),
        ({"mode": "tip", "tokens": [7], "penalty": 3, "window": 1.5}, "reflection_window must be a whole number"),
        ({"mode": "tip", "tokens": [7], "penalty": 3, "end": "</think>"}, "reflection_end must be a list of token"),
        ({"mode": "tip", "tokens": [7], "penalty": 3, "start": -1}, "reflection_start must be a whole number from 0"),
        ({"mode": "cyclic", "tokens": [7], "amplitude": 5}, "reflection_period must be a number, not None"),
        ({"mode": "cyclic", "tokens": [7], "amplitude": 5, "period": 0}, "reflection_period must be above 0"),
        ({"mode": "cyclic", "tokens": [7], "amplitude": "5", "period": 9}, "reflection_amplitude must be a number"),
    ],
)
def test_the_plugin_refuses_what_it_does_not_understand(
    schedule: ModuleType, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        schedule.read({f"reflection_{name}": value for name, value in fields.items()})


def test_a_request_without_it_is_left_alone(schedule: ModuleType) -> None:
    assert schedule.read(None) is None
    assert schedule.read({"something": 1}) is None


def test_the_host_refuses_what_makes_no_sense() -> None:
    with pytest.raises(UserError, match="no reflection tokens"):
        cyclic_reflex([])
    with pytest.raises(UserError, match="above 0 tokens"):
        cyclic_reflex([7], period=0)
    with pytest.raises(UserError, match="at least 1 token"):
        tip([7], window=0)


def test_spellings_have_the_bare_words_of_the_paper() -> None:
    found = spellings(WORDS)
    assert {"wait", "Wait", "but", "But", "Alternatively", " wait", " Wait", "WAIT", "Wait,", "\nWait"} <= set(found)
    assert len(found) == len(set(found))


def test_only_spellings_of_one_token_are_taken_and_the_others_are_told() -> None:
    chat = Chat(WEIGHTS)
    tokens = reflection_token_ids(chat.encode, ("step", "answer"))
    assert tokens.resolved.keys() == {" step", "Step", "\nStep", " answer", "Answer", "\nAnswer"}
    assert set(tokens.left_out) == set(spellings(("step", "answer"))) - set(tokens.resolved)
    assert tokens.left_out["step"] == tuple(chat.encode("step"))
    assert len(tokens.left_out["step"]) > 1
    assert tokens.ids == tuple(sorted({chat.encode(s)[0] for s in (" step", "Step", " answer", "Answer")}))
    pieces = {ids[0] for spelling, ids in tokens.left_out.items() if not spelling.endswith(",")}
    assert not pieces & set(tokens.ids), "a first piece that other words share is not taken"


def test_a_tokenizer_that_puts_a_space_before_every_text_shows_the_bare_word_after_a_line_break() -> None:
    vocabulary = {"▁wait": 1, "wait": 2, "▁": 3, "\n": 4, "▁Wait": 5, "Wait": 6}

    def encode(text: str) -> list[int]:
        text, ids = "▁" + text.replace(" ", "▁"), []
        while text:
            piece = max((p for p in vocabulary if text.startswith(p)), key=len, default=text[0])
            ids.append(vocabulary.get(piece, 100 + ord(piece[0])))
            text = text[len(piece) :]
        return ids

    tokens = reflection_token_ids(encode, ["wait"])
    assert tokens.ids == (1, 2, 5, 6)
    assert tokens.resolved["\nwait"] == 2
