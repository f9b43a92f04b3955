import json

import pytest
from pydantic import ValidationError

from maieutic.tasks.task import Task


def test_nothing_an_agent_sees_holds_the_gold() -> None:
    task = Task(question="2 + 2 =", gold="four-secret", verifier="number", metadata={"note": "meta-secret"})
    seen = json.dumps(task.public()) + repr(task) + str(task)
    assert "secret" not in seen
    assert task.public()["question"] == "2 + 2 ="


def test_the_public_view_is_the_agents_own_copy() -> None:
    task = Task(question="which?", inputs={"choices": ["a", "b"]})
    task.public()["inputs"]["choices"].append("c")
    assert task.inputs == {"choices": ["a", "b"]}


def test_the_id_is_of_what_is_asked_and_not_of_the_gold() -> None:
    assert Task(question="2 + 2 =", gold=4).id == Task(question="2 + 2 =", gold=5).id
    assert Task(question="2 + 2 =").id != Task(question="2 + 3 =").id
    assert Task(question="which?", inputs={"choices": ["a"]}).id != Task(question="which?").id
    assert Task(id="mine", question="2 + 2 =").id == "mine"


def test_a_verifier_named_like_a_type_sets_the_type() -> None:
    assert Task(question="q", verifier="choice").answer_type == "choice"
    assert Task(question="q", verifier="choice", answer_type="text").answer_type == "text"
    assert Task(question="q", verifier="rg").answer_type == "auto"


def test_a_task_survives_json() -> None:
    task = Task(question="q", gold=[1, {"a": None}], inputs={"d": 1.5}, tolerance=0.01, metadata={"m": [1]})
    assert Task.model_validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize("fields", [{}, {"question": ""}, {"question": "q", "tolerance": 0}, {"question": "q", "x": 1}])
def test_tasks_that_make_no_sense_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Task.model_validate(fields)
