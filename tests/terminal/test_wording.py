"""Small wordings that several views share."""

import pytest

from maieutic.errors import UserError
from maieutic.terminal import wording
from maieutic.terminal.settings import parse_settings
from maieutic.types import Usage


@pytest.mark.parametrize(
    ("arguments", "shown", "is_code"),
    [
        ('{"code": "print(1)\\n"}', "print(1)", True),
        ('{"code": "x", "n": 2}', 'python(code="x", n=2)', False),
        ("{broken", "{broken", False),
        ("[1]", "[1]", False),
        ("", "python()", False),
    ],
)
def test_a_tool_call_reads_as_a_person_writes_it(arguments: str, shown: str, is_code: bool) -> None:
    assert wording.call_of("python", arguments) == (shown, is_code)


def test_votes_are_counted_from_the_most() -> None:
    votes = {str(i): i for i in range(1, 9)}
    assert wording.votes({"votes": votes, "samples": 36, "of": 40}) == (
        "8 ×8, 7 ×7, 6 ×6, 5 ×5, 4 ×4, 3 ×3, 2 more answers (36 of 40)"
    )
    assert wording.votes({"votes": {}, "samples": 1, "of": 8}) == "none yet (1 of 8)"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"accepts": None, "first_wrong": None}, "no readable verdict"),
        ({"accepts": True, "first_wrong": None}, "finds no wrong step"),
        ({"accepts": False, "first_wrong": 3}, "the first wrong step is 3"),
        ({"choice": None}, "no readable choice"),
        ({"choice": 2}, "chooses 2"),
    ],
)
def test_verdicts_in_words(data: dict[str, object], said: str) -> None:
    assert wording.verdict(data) == said


def test_cost_is_told_only_where_it_is_known() -> None:
    assert wording.usage(Usage(1, 1000, 200, seconds=0.04)) == "1 call · 1,200 tokens · 0.0 s"
    assert wording.usage(Usage(2, 1, 1, cost=0.0123, seconds=3)) == "2 calls · 2 tokens · $0.0123 · 3.0 s"


def test_settings_are_json_where_they_read_as_json() -> None:
    given = ["samples=4", "judge=null", "early_stop=false", "solver=my.module:agent", "text=a=b"]
    assert parse_settings(given) == {
        "samples": 4,
        "judge": None,
        "early_stop": False,
        "solver": "my.module:agent",
        "text": "a=b",
    }


@pytest.mark.parametrize("pairs", [["a"], ["=1"], ["a=1", "a=2"]])
def test_what_is_no_setting_is_refused(pairs: list[str]) -> None:
    with pytest.raises(UserError):
        parse_settings(pairs)
