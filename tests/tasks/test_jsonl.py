import json
from pathlib import Path

import pytest

from maieutic.errors import TaskError
from maieutic.tasks.jsonl import read_lines
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task


def write(folder: Path, content: bytes) -> str:
    path = folder / "tasks.jsonl"
    path.write_bytes(content)
    return str(path)


def test_every_field_is_read(tmp_path: Path) -> None:
    line = {
        "id": "t1", "question": "which?", "inputs": {"choices": ["a", "b"]}, "answer_type": "choice", "gold": "A",
        "verifier": "choice", "tolerance": 0.1, "metadata": {"source": "me"},
    }  # fmt: skip
    tasks, problems = load_tasks(write(tmp_path, json.dumps(line).encode()))
    assert tasks == [Task.model_validate(line)]
    assert problems == []


def test_byte_order_mark_crlf_and_blank_lines_are_fine(tmp_path: Path) -> None:
    content = '\ufeff{"question": "a\u2028b", "gold": 1}\r\n\r\n  \n{"question": "c"}'.encode()
    tasks, problems = load_tasks(write(tmp_path, content))
    assert [task.question for task in tasks] == ["a\u2028b", "c"]
    assert problems == []


@pytest.mark.parametrize(
    ("line", "field", "part"),
    [
        (b"{question: 1}", "", "not JSON"),
        (b'{"question": "q"', "", "not JSON"),
        (b"[1]", "", "not a JSON object but list"),
        (b'"q"', "", "not a JSON object but str"),
        (b'{"question": "\xff"}', "", "not UTF-8 at byte 15"),
        (b'{"question": "q", "gold": NaN}', "", "NaN is not JSON"),
        (b'{"question": "q", "question": "r"}', "", "'question' is given twice"),
        (b"[" * 100_000, "", "nested too deeply"),
        (b"{}", "question", "missing"),
        (b'{"question": ""}', "question", "at least 1 character"),
        (b'{"question": 5}', "question", "valid string"),
        (b'{"question": "q", "goal": 5}', "goal", "not a field of a task (those are id, question"),
        (b'{"question": "q", "answer_type": "numeric"}', "answer_type", "'number'"),
        (b'{"question": "q", "inputs": []}', "inputs", "valid dict"),
        (b'{"question": "q", "tolerance": 2}', "tolerance", "less than 1"),
        (b'{"question": "q", "tolerance": "0.1"}', "tolerance", "valid number"),
        (b'{"question": "q", "verifier": "nunber"}', "verifier", "Did you mean 'number'?"),
        (b'{"question": "q", "verifier": "number"}', "gold", "missing"),
        (b'{"question": "q", "answer_type": "number", "gold": "many"}', "gold", "not of type number"),
        (b'{"question": "q", "answer_type": "choice", "gold": "red"}', "gold", "not of type choice"),
        (b'{"question": "q", "verifier": "choice", "inputs": {"choices": ["a"]}, "gold": "B"}', "gold", "the choices"),
        (b'{"question": "q", "verifier": "exact"}', "gold", "missing"),
        (b'{"question": "q", "id": "first"}', "id", "already the id of line 1"),
    ],
)
def test_a_bad_line_is_one_sentence_and_the_others_still_run(line: bytes, field: str, part: str) -> None:
    lines = [b'{"question": "good", "id": "first"}\n', b"\n", line + b"\n", b'{"question": "also good"}\n']
    tasks, (problem,) = read_lines(lines, "t.jsonl")
    assert [task.question for task in tasks] == ["good", "also good"]
    assert (problem.line, problem.field) == (3, field)
    assert str(problem).startswith("t.jsonl, line 3")
    assert part in str(problem)
    assert "\n" not in str(problem)


def test_two_tasks_without_id_and_with_the_same_question_are_a_duplicate() -> None:
    _, (problem,) = read_lines([b'{"question": "q", "gold": 1}', b'{"question": "q", "gold": 2}'], "t")
    assert (problem.line, problem.field) == (2, "id")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"nonsense\n"])
def test_a_file_without_a_usable_task_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TaskError, match="holds no usable task"):
        load_tasks(write(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="can't be read: No such file"):
        load_tasks(str(tmp_path / "missing.jsonl"))
    with pytest.raises(TaskError, match="Is a directory"):
        load_tasks(str(tmp_path))
