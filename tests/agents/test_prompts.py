import re
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import JsonValue

from maieutic.errors import ConfigError
from maieutic.llm.scripted import ScriptedModel
from maieutic.settings import Settings
from maieutic.tasks.abstention import ABSTENTION
from maieutic.tasks.task import Task
from tests.conftest import Ask


async def test_a_user_overrides_a_prompt_with_a_file(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "solver.txt").write_text("Be brief.\n---\nQ: {question}\n")
    model = ScriptedModel("Answer: 7")
    await ask(model, task="What is {x}?", settings=Settings(prompts_dir=tmp_path))
    assert [m["content"] for m in model.requests[0].messages] == ["Be brief.", "Q: What is {x}?"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("No line.", "needs a line '---'"), ("S\n---\n{questoin}", r"uses \{questoin\}.*Known: question")],
)
async def test_a_broken_prompt_file_is_told_in_a_sentence(ask: Ask, tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "solver.txt").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        await ask(ScriptedModel("Answer: 7"), settings=Settings(prompts_dir=tmp_path))


async def test_an_edited_prompt_counts_from_the_next_run_on(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7")
    for system in ("Be brief.", "Be kind."):
        (tmp_path / "solver.txt").write_text(f"{system}\n---\n{{question}}")
        await ask(model, settings=Settings(prompts_dir=tmp_path))
    assert [request.messages[0]["content"] for request in model.requests] == ["Be brief.", "Be kind."]


@pytest.mark.parametrize(
    ("question", "choices", "shown"),
    [
        ("Which is red?", ["crimson", "walrus"], "Which is red?\n\nA) crimson\nB) walrus"),
        ("Which is red?", {"x": "crimson", "y": "walrus"}, "Which is red?\n\nX) crimson\nY) walrus"),
        ("Which is red, crimson or walrus?", ["crimson", "walrus"], "Which is red, crimson or walrus?"),
    ],
)
async def test_the_choices_of_a_task_are_shown(ask: Ask, question: str, choices: JsonValue, shown: str) -> None:
    model = ScriptedModel("Answer: A")
    await ask(model, task=Task(question=question, inputs={"choices": choices}, answer_type="choice"))
    assert model.requests[0].messages[1]["content"] == shown


async def test_a_prompts_directory_that_is_not_there_is_told(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no prompts directory"):
        await ask(ScriptedModel("Answer: 7"), settings=Settings(prompts_dir=tmp_path / "none"))


def test_fields_stand_in_the_template_of_the_user_message_alone() -> None:
    """The system message is sent as it is."""
    for place in (files("maieutic.agents") / "prompts").iterdir():
        if place.name.endswith(".txt"):
            system, line, _ = place.read_text().partition("\n---\n")
            assert line and not re.search(r"\{[a-z_]+\}", system), place.name


@pytest.mark.parametrize("role", ["answerer", "closed-book", "researcher", "segment-writer"])
def test_a_role_that_may_abstain_is_told_the_words_that_are_recognised(role: str) -> None:
    prompt = (files("maieutic.agents") / "prompts" / f"{role}.txt").read_text()
    assert ABSTENTION in " ".join(prompt.split())
