import pytest

from maieutic.errors import ConfigError, UnknownName, UserError
from maieutic.evals.plan import cross, parse_contender
from maieutic.types import Sampling


def test_a_contender_is_read_whole() -> None:
    read = parse_contender("five=self_consistency?samples=5&schedule=all&tools=python+sql&temperature=0.5")
    assert (read.label, read.graph) == ("five", "self_consistency")
    assert read.settings == {"samples": 5, "schedule": "all"}
    assert read.tools == ("python", "sql")
    assert read.sampling == Sampling(temperature=0.5)


def test_without_a_label_it_is_called_as_it_is_written() -> None:
    assert parse_contender("critique?rounds=1").label == "critique?rounds=1"


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("nope", UnknownName, "nope"),
        ("critique?runds=1", ConfigError, "no setting 'runds'"),
        ("critique?rounds", UserError, "KEY=VALUE"),
        ("direct?temperature=hot", UserError, "must be numbers"),
    ],
)
def test_what_can_not_be_read_is_said(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        parse_contender(text)


def test_cells_have_folders_of_their_own_and_labels_differ() -> None:
    contenders = [parse_contender("a=direct"), parse_contender("b=direct?max_turns=2")]
    cells = cross(["env:rg/chain_sum?n=5", "tasks.jsonl"], ["in-box", "other"], contenders)
    assert len({cell.folder for cell in cells}) == len(cells) == 8
    with pytest.raises(UserError, match="Two contenders are called 'a'"):
        cross(["t"], ["m"], [contenders[0], contenders[0]])
