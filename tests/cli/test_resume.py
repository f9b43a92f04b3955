"""`maieutic ask --approve`, and `--resume`: a run that waits for a person goes on in another process."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

TOOLS = '''
from pathlib import Path

def pay(amount: int) -> str:
    """Pay."""
    with Path(__file__).with_name("paid").open("a") as file:
        file.write(f"{amount} ")
    return f"paid {amount}"
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "till_of_test_resume.py").write_text(TOOLS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("word", "paid"), [("yes", "5 "), ("no", None)])
def test_a_run_waits_and_goes_on(maieutic: Command, folder: Path, word: str, paid: str | None) -> None:
    from tests.support.server import Answer, FakeServer

    first = Answer("", tool_calls=[("pay", '{"amount": 5}')], finish_reason="tool_calls")
    with FakeServer([first, Answer("Answer: 7")]) as server:
        ended = maieutic(
            "ask", "What is 4 + 3?", "--graph", "tool_loop", "--model", f"openai-compatible/m@{server.url}",
            "--tool", "till_of_test_resume:pay", "--approve", "pay", "--json", "--seed", "3",
        )  # fmt: skip
        waiting = json.loads(ended.out)
        assert (ended.code, waiting["partial"], waiting["answer"]) == (3, True, None)
        assert waiting["waiting"] == [{"tool": "pay", "arguments": '{"amount": 5}', "branch": ""}]
        assert f"--resume {waiting['run_id']}" in ended.err and "pay: waits for approval" in ended.err
        assert not (folder / "paid").exists()
        again = maieutic("ask", "--resume", waiting["run_id"], "--json")
        assert again.code == 3 and len(server.requests) == 1
        ended = maieutic("ask", "--resume", waiting["run_id"], "--approve-pending", word, "--gold", "7", "--json")
        result = json.loads(ended.out)
        assert (ended.code, result["answer"], result["outcome"], result["partial"]) == (0, "7", "correct", False)
        assert len(server.requests) == 2
    assert ((folder / "paid").read_text() if (folder / "paid").exists() else None) == paid
    ended = maieutic("ask", "--resume", result["run_id"])
    assert ended.code == 2 and "has ended: there is nothing to resume" in ended.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "There is no question"),
        (["What?", "--approve-pending", "yes"], "say which with --resume RUN"),
        (["What?", "--resume", "x"], "A run is resumed as it was asked"),
        (["--resume", "x", "--graph", "debate"], "A run is resumed as it was asked"),
        (["--resume", "x", "--approve-pending", "maybe"], "say yes or no"),
        (["--resume", "x"], "There are no traces in"),
        (["What?", "--model", "yes", "--approve", "python"], "There is no tool of this run named 'python'"),
    ],
)
def test_what_can_not_be_is_a_sentence(maieutic: Command, arguments: list[str], sentence: str) -> None:
    ended = maieutic("ask", *arguments)
    assert (ended.code, ended.out) == (2, "") and sentence in ended.err
