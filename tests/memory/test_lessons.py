"""Lessons are found again by what they are about, and survive other writers and kills."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.memory.journal import Journal
from maieutic.memory.lessons import Lesson, Lessons, listed
from maieutic.memory.memory import Memory

ABOUT = "How many legs do three cows and two hens have?"


def lesson(text: str, about: str = ABOUT) -> Lesson:
    return Lesson(text, about, "c1", "r1")


def test_what_is_alike_is_recalled_and_nothing_else(tmp_path: Path) -> None:
    lessons = Lessons(tmp_path / "lessons.jsonl")
    lessons.add(lesson("Count the legs of each kind first."))
    lessons.add(lesson("Name the capital before its river.", "Which river flows through the capital of Peru?"))
    found = lessons.like("How many legs do five cows and a hen have?")
    assert [one.text for one, _ in found] == ["Count the legs of each kind first."]
    assert 0.25 <= found[0][1] <= 1
    assert lessons.like("Integrate sin x / x from zero to infinity.") == []


def test_k_bounds_what_is_recalled_the_likest_first_without_repetition(tmp_path: Path) -> None:
    lessons = Lessons(tmp_path / "lessons.jsonl", k=2)
    for text in ("a", "a", "b", "c"):
        lessons.add(lesson(text))
    lessons.add(lesson("far", "How many legs do horses have?"))
    assert [one.text for one, _ in lessons.like(ABOUT)] == ["c", "b"]


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.99])
def test_the_threshold_is_what_it_says(threshold: float) -> None:
    lessons = Lessons(threshold=threshold)
    lessons.add(lesson("Look.", "legs of cows, legs of hens"))
    likeness = Lessons(threshold=-1)
    likeness.add(lesson("Look.", "legs of cows, legs of hens"))
    ((_, value),) = likeness.like(ABOUT)
    assert bool(lessons.like(ABOUT)) == (value >= threshold)


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lessons = Lessons()
    lessons.add(lesson("a"))
    assert [one.text for one, _ in lessons.like(ABOUT)] == ["a"] and not list(tmp_path.iterdir())


def test_what_one_process_learns_another_recalls(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lessons.jsonl"
    here, there = Lessons(path), Lessons(path)
    assert there.like(ABOUT) == []
    here.add(lesson("a"))
    assert [one.text for one, _ in there.like(ABOUT)] == ["a"]


WRITER = """
import sys
from maieutic.memory.lessons import Lesson, Lessons
lessons = Lessons(sys.argv[1])
for i in range(20):
    lessons.add(Lesson(f"{sys.argv[2]}-{i}", "How many legs do cows have?", "c1"))
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    assert sorted(texts) == sorted(f"{name}-{i}" for name in "abc" for i in range(20))
    for name in "abc":
        assert [t for t in texts if t.startswith(name)] == [f"{name}-{i}" for i in range(20)]


def test_a_line_that_a_kill_tore_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    lessons = Lessons(path)
    lessons.add(lesson("first"))
    with path.open("ab") as file:
        file.write(b'{"text": "torn", "abo')
    assert [one.text for one, _ in lessons.like(ABOUT)] == ["first"]
    lessons.add(lesson("second"))
    assert {one.text for one, _ in lessons.like(ABOUT)} == {"first", "second"} and lessons.damaged == 1
    assert {one.text for one, _ in Lessons(path).like(ABOUT)} == {"first", "second"}


def test_a_vector_of_another_embedder_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    Lessons(path).add(lesson("a"))
    entry = json.loads(path.read_text())
    path.write_text(
        json.dumps({**entry, "embedder": "other/2/x", "embedding": "AAAAAAAAAAA="})
        + "\n"
        + json.dumps({"about": ABOUT})
    )
    assert [one.text for one, _ in Lessons(path).like(ABOUT)] == ["a"]


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    lessons = Lessons(path)
    lessons.add(lesson("a"))
    lessons.add(lesson("b"))
    assert len(lessons) == 2
    path.unlink()
    assert len(lessons) == 0
    Lessons(path).add(lesson("c"))
    assert [one.text for one, _ in lessons.like(ABOUT)] == ["c"]


def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be written to"):
        Journal(tmp_path).append([{}])
    with pytest.raises(UserError, match="can't be read"):
        Journal(tmp_path).entries()


def test_it_is_a_memory() -> None:
    lessons = Lessons()
    assert isinstance(lessons, Memory)

    async def use() -> None:
        assert await lessons.recall(ABOUT) == ()
        await lessons.remember(({"role": "user", "content": ABOUT}, {"role": "assistant", "content": "Count\nfirst."}))
        (message,) = await lessons.recall(ABOUT)
        assert message["content"] == "- Count first."

    asyncio.run(use())


def test_lessons_are_listed_a_line_each() -> None:
    assert listed(["a\n b", "c"]) == "- a b\n- c"
