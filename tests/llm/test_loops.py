"""The loop guard: loops are noticed, texts that repeat themselves for good reasons are left alone."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

from maieutic.llm.loops import NATIVE, PERIOD, LoopDetector, LoopGuard, guarded_by_server
from maieutic.llm.model import Enough
from maieutic.types import Delta, Request, Sampling

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "loop_guard.py"
SENTENCE = "Wait, let me check this again. "


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("loop_guard", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TEXTS = _benchmark()


def noticed(text: str, piece: int = 4) -> int | None:
    """After how many characters the text is called a loop."""
    detector = LoopDetector()
    for at in range(0, len(text), piece):
        if detector.feed(text[at : at + piece]):
            return min(at + piece, len(text))
    return None


@pytest.mark.parametrize("kind", TEXTS.LOOPS)
def test_a_loop_is_noticed(kind: str) -> None:
    for seed in range(3):
        rng = random.Random(f"{kind} {seed}")
        assert TEXTS.alarm(TEXTS.prose(rng, 20) + "\n" + TEXTS.LOOPS[kind](rng), rng) is not None


@pytest.mark.parametrize("kind", TEXTS.TEXTS)
def test_a_text_with_good_reasons_is_left_alone(kind: str) -> None:
    for seed in range(3):
        rng = random.Random(f"{kind} {seed}")
        assert TEXTS.alarm(TEXTS.TEXTS[kind](rng), rng) is None


def test_a_sentence_may_come_nine_more_times_but_not_twelve() -> None:
    assert noticed(SENTENCE * 10 + "So it is 7.") is None
    assert noticed(SENTENCE * 14) is not None


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 16, 17, 33, 1000, 100_000])
def test_it_does_not_matter_how_the_text_is_cut(piece: int) -> None:
    for text in (SENTENCE * 40, "ha" * 3000, "12" * 3000, "\n" * 4000, "  \t" * 3000):
        at, whole = noticed(text, piece), noticed(text, 1)
        assert at is not None and whole is not None
        assert whole <= at < whole + piece + 1


def test_the_alarm_comes_with_the_first_piece_that_is_enough() -> None:
    first = noticed(SENTENCE * 40, 1)
    assert first is not None
    assert len(SENTENCE) * 11 <= first <= len(SENTENCE) * 14


def test_a_counter_counts_up_by_one_and_anything_else_is_no_loop() -> None:
    by_one = "".join(f"Step {i}: I look at all of it again.\n" for i in range(7, 200))
    by_two = "".join(f"Step {i}: I look at all of it again.\n" for i in range(7, 400, 2))
    assert noticed(by_one) is not None
    assert noticed(by_two) is None


def test_the_longest_period_is_met_and_no_longer_one() -> None:
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwxyz"]
    assert noticed(" ".join(words[:PERIOD]) + " ") is None
    assert noticed((" ".join(words[:PERIOD]) + " ") * 7) is not None
    assert noticed((" ".join(words[: PERIOD + 1]) + " ") * 7) is None


def test_a_loop_that_is_broken_starts_from_nothing() -> None:
    broken = "".join(SENTENCE * 9 + f"The number {i} is odd, and so on. " for i in (3, 17, 5, 23, 9, 2, 40, 1))
    assert noticed(broken) is None


def test_what_is_kept_of_a_text_is_bounded() -> None:
    detector = LoopDetector()
    rng = random.Random(1)
    for _ in range(300):
        detector.feed(" ".join(str(rng.random()) + TEXTS.sentence(rng) for _ in range(20)))
    for run in (detector._exact, detector._numbered):
        assert len(run._units) <= 4 * PERIOD
        assert len(run._seen) <= 5 * PERIOD


def test_the_guard_ends_a_call_whether_it_thinks_or_answers() -> None:
    for delta in (Delta(SENTENCE), Delta(reasoning=SENTENCE)):
        guard = LoopGuard()
        with pytest.raises(Enough, match="repetition"):
            for _ in range(40):
                guard(delta)


def test_thoughts_and_answer_are_not_one_text() -> None:
    guard = LoopGuard()
    for _ in range(10):
        guard(Delta(reasoning=SENTENCE))
    for _ in range(10):
        guard(Delta(SENTENCE))


def test_an_empty_piece_changes_nothing() -> None:
    guard = LoopGuard()
    for _ in range(1000):
        guard(Delta(tokens=3))


def test_a_server_is_asked_to_watch_unless_the_request_says_how_or_is_too_short() -> None:
    def extra(**sampling: object) -> dict[str, object]:
        return guarded_by_server(Request((), Sampling(**sampling))).sampling.extra  # type: ignore[arg-type]

    assert extra() == {"repetition_detection": NATIVE}
    assert extra(extra={"min_p": 0.1}) == {"min_p": 0.1, "repetition_detection": NATIVE}
    assert extra(extra={"repetition_detection": None}) == {"repetition_detection": None}
    assert extra(max_tokens=479) == {}
    assert extra(max_tokens=480) == {"repetition_detection": NATIVE}
