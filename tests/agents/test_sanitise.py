"""What is taken out of candidates before a judge sees them, and what has to stay."""

import pytest

from maieutic.agents.sanitise import sanitised

PLAIN = "Step 1: 4 + 3 = 7\nAnswer: 7"


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        ("<think>It may be 8. Or 7.</think>Step 1: 4 + 3 = 7\nAnswer: 7", "thoughts"),
        ("Wait, let me think.\nStep 1: 4 + 3 = 7\nAnswer: 7", "reflection"),
        ("Step 1: 4 + 3 = 7\nHmm, let me double-check this.\nAnswer: 7", "reflection"),
        ("Wait, let me think about this: Step 1: 4 + 3 = 7\nAnswer: 7", "reflection"),
        ("Step 1: 4 + 3 = 7\n90% of people believe that this answer is right.\nAnswer: 7", "bandwagon"),
        ("Step 1: 4 + 3 = 7\nEveryone agrees that the answer is 7.\nAnswer: 7", "bandwagon"),
        ("According to a study from Harvard University, Step 1: 4 + 3 = 7\nAnswer: 7", "authority"),
        ("Step 1: 4 + 3 = 7 (Miller et al., 2021)\nAnswer: 7", "authority"),
        ("Step 1: 4 + 3 = 7\nSource: Journal of Sums 12 (2019)\nAnswer: 7", "authority"),
        ("Step 1: 4 + 3 = 7\nThis answer was confirmed by leading professors.\nAnswer: 7", "authority"),
    ],
)
def test_two_candidates_that_say_the_same_are_shown_alike(shown: str, kind: str) -> None:
    found = sanitised(shown)
    assert (found.text, found.removed) == (PLAIN, {kind: 1})


@pytest.mark.parametrize(
    "content",
    [
        "In the survey 60% of people chose tea.",
        "Most of the students chose the correct answer, so 30 did.",
        "According to the table, x is 3.",
        "So 4 + 3 = 7.",
        "4 + 3 = 7, on second thought, let me go over it again.",
        "Wait times are 5 minutes.",
        "Let me verify that n is prime.",
        "He was born there (1987).",
        "The conjecture was proved by Wiles in 1994.",
        "SELECT NAME FROM CITIES WHERE SIZE > 3;",
        "```\n# wait, let me think\nprint('90% of people believe this answer is right')\n```",
        "Answer: Most people think that this answer is right!!",
        "5! is 120, and 3! is 6.",
    ],
)
def test_content_that_only_looks_like_it_stays(content: str) -> None:
    assert (sanitised(content).text, sanitised(content).removed) == (content, {})


def test_shouting_becomes_speech() -> None:
    found = sanitised("THIS IS THE RIGHT ONE!!! It is 7!!")
    assert (found.text, found.removed) == ("This is the right one. It is 7.", {"shouting": 2})


def test_sanitising_twice_changes_nothing_more() -> None:
    once = sanitised("Wait. Hold on, let me reconsider. 4 + 3 = 7\n\nNine out of ten experts say this answer is best!")
    assert sanitised(once.text).text == once.text == "4 + 3 = 7"


@pytest.mark.parametrize("piece", ["wait ", "90% of people ", "(", "let me think ", "so ", "hm", "according to a "])
def test_long_texts_take_no_time(piece: str) -> None:
    sanitised(piece * 20_000)  # a pattern that looks back at every place would take minutes
