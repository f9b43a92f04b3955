import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maieutic.errors import TaskError, UnknownName
from maieutic.tasks import gym
from maieutic.tasks.source import load_tasks
from maieutic.tasks.split import split_of
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome

pytest.importorskip("reasoning_gym")

# Datasets whose entries have no answer (their scorer takes any valid solution), and where an entry shows a solution.
WITHOUT_ORACLE = {
    "boxnet": None,
    "graph_color": "possible_answer",
    "propositional_logic": "example_answer",
    "rubiks_cube": "example_correct_answer",
    "rush_hour": None,
}
COMPOSITE = '?n=2&datasets=[{"name":"chain_sum","weight":1,"config":{}},{"name":"gcd","weight":2,"config":{}}]'


def one(source: str) -> Task:
    return load_tasks(f"env:rg/{source}")[0][0]


def tagged(answer: object) -> str:
    return f"<think>hm</think>\n<answer>{answer}</answer>"


@pytest.mark.slow
def test_every_dataset_loads_and_accepts_its_own_answer() -> None:
    names = gym.dataset_names()
    assert len(names) >= 106
    failed: list[str] = []
    for name in names:
        query = COMPOSITE if name == "composite" else "?n=2&seed=3"
        for task in load_tasks(f"env:rg/{name}{query}").tasks:
            assert verify(task, "").outcome is Outcome.UNPARSED
            if name in WITHOUT_ORACLE:
                assert task.gold is None
            elif verify(task, tagged(task.gold)).outcome is not Outcome.CORRECT:
                failed.append(task.id)
    assert failed == []


@pytest.mark.slow
def test_the_same_request_gives_the_same_tasks_in_another_process() -> None:
    # these five iterate over sets, and would follow the hash seed of the process
    names = ("isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder")
    code = (
        "from maieutic.tasks.source import load_tasks\n"
        f"for name in {names!r}:\n"
        "    for task in load_tasks(f'env:rg/{name}?n=2&seed=5').tasks:\n"
        "        print(task.model_dump_json())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "99"}, capture_output=True, check=True
    )
    theirs = [Task.model_validate_json(line) for line in done.stdout.splitlines()]
    assert theirs == [task for name in names for task in load_tasks(f"env:rg/{name}?n=2&seed=5").tasks]
    assert [verify(task, tagged(task.gold)).outcome for task in theirs] == [Outcome.CORRECT] * 10


def test_settings_reach_the_dataset() -> None:
    tasks, _ = load_tasks("env:rg/chain_sum?n=30&seed=7&min_terms=4&max_terms=4&max_digits=1&split=test")
    for task in tasks:
        expression = task.question.split(": ")[1]
        assert expression.count("+") + expression.count("-") == 3
        assert split_of(task.question) == "test"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dataset", [name for name, field in WITHOUT_ORACLE.items() if field])
def test_a_valid_solution_is_correct_where_there_is_no_answer(dataset: str) -> None:
    from reasoning_gym import create_dataset

    task = one(f"{dataset}?n=1&seed=1")
    assert task.metadata["index"] == 0
    entry = create_dataset(dataset, seed=task.metadata["seed"])[0]
    solution = entry["metadata"][WITHOUT_ORACLE[dataset]]
    said = json.dumps(solution) if isinstance(solution, dict) else solution
    assert verify(task, tagged(said)).outcome is Outcome.CORRECT
    assert verify(task, tagged("nothing")).outcome in (Outcome.WRONG, Outcome.FORMAT_ERROR)


@pytest.mark.parametrize(
    "query",
    [
        "chain_sum?allow_negation=true",
        "countdown?operators=+,-",
        "complex_arithmetic?operations=*&operations_weights=1",
        "advanced_geometry?task_types=orthocenter",
        "aiw?task_types=siblings,friends&task_type_weights=0.5,0.5",
        "polynomial_multiplication?variables=x,y",
        "time_intervals?min_date=2020-01-01&max_date=2020-12-31",
        "word_sorting?transformation=lowercase",
        "calendar_arithmetic?tasks=weekday_of_date",
        "rearc?rng_difficulty_ranges=[[0.0,0.05]]&rng_difficulty_weights=1.0",
        'arc_agi?board_format_opts={"col_delimiter":","}',
    ],
)
def test_settings_of_every_kind_are_read(query: str) -> None:
    task = one(f"{query}&n=1&seed=1")
    assert verify(task, tagged(task.gold)).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("chain_sum?min_term=4", "no setting 'min_term': it knows allow_negation, max_digits, max_terms"),
        ("chain_sum?min_terms=four", r"can't use min_terms='four' \(int\)"),
        ("chain_sum?min_terms=9&max_terms=2", "max_terms must be >= min_terms"),
        ("chain_sum?min_terms=[", "can't use min_terms"),
        ("complex_arithmetic?operations=*", "makes no question with these settings: ValueError"),
        ("composite", "Must specify at least one dataset"),
        ("coin_flip?n=50&max_trials=4", r"only \d+ distinct questions"),
    ],
)
def test_bad_settings_are_one_sentence(query: str, part: str) -> None:
    with pytest.raises(TaskError, match=part):
        load_tasks(f"env:rg/{query}")


def test_an_unknown_dataset_lists_close_names() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'chain_sum'\?") as caught:
        load_tasks("env:rg/chain_som")
    assert len(str(caught.value)) < 300


def test_neighbouring_seeds_share_no_questions_to_speak_of() -> None:
    first, second = (
        {task.question for task in load_tasks(f"env:rg/chain_sum?n=200&seed={seed}&min_digits=3").tasks}
        for seed in (7, 8)
    )
    assert len(first & second) <= 2


def test_more_tasks_than_the_dataset_has_go_on_with_another_seed() -> None:
    tasks, _ = load_tasks("env:rg/gcd?n=12&size=5&seed=1")
    assert len({task.id for task in tasks}) == len({task.question for task in tasks}) == 12
    assert len({str(task.metadata["seed"]) for task in tasks}) >= 3
    assert all(verify(task, tagged(task.gold)).outcome is Outcome.CORRECT for task in tasks)


def test_ids_tell_settings_apart() -> None:
    assert one("gcd?n=1&seed=4").id == "rg/gcd/4/0"
    assert one("gcd?n=1&seed=4&max_numbers=3").id != one("gcd?n=1&seed=4&max_numbers=4").id


def test_a_wrong_answer_keeps_the_datasets_own_score() -> None:
    task = one("countdown?n=1")
    verdict = verify(task, tagged("1 + 1"))
    assert verdict.outcome is Outcome.WRONG
    assert verdict.score is not None
    assert 0 < verdict.score < 0.5


def test_typesetting_does_not_make_a_right_answer_wrong() -> None:
    task = one("chain_sum?n=1")
    assert verify(task, f"Answer: ${task.gold}$.").outcome is Outcome.CORRECT
    assert verify(task, rf"\boxed{{\text{{{task.gold}}}}}").outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("dataset", "answers"),
    [
        ("coin_flip", ["0", "0.", "1"]),
        ("game_of_life_halting", ["garbage", "0"]),
        ("gsm_symbolic", ["-{gold}", "{gold} 7"]),
        ("puzzle24", ["8*(6 + 3)/3", "10 + 10 + 2 + 2", "24", "5*5 - 1/2 + 0"]),
    ],
)
def test_what_lenient_scorers_let_through_is_not_correct(dataset: str, answers: list[str]) -> None:
    for task in load_tasks(f"env:rg/{dataset}?n=5&seed=2").tasks:
        assert verify(task, tagged(task.gold)).outcome is Outcome.CORRECT
        for answer in answers:
            said = answer.format(gold=task.gold)
            if said != task.gold:
                assert verify(task, tagged(said)).outcome is not Outcome.CORRECT, (task.id, said)


@pytest.mark.parametrize("dataset", ["countdown", "puzzle24", "simple_integration", "binary_matrix", "spiral_matrix"])
@pytest.mark.parametrize(
    "answer",
    [
        "__import__('pathlib').Path('{mark}').touch()",
        "open('{mark}', 'w')",
        "[open('{mark}', 'w')]",
        "(lambda: open('{mark}', 'w'))()",
        "[x for x in [open('{mark}', 'w')]]",
        "sin('open(\\'{mark}\\', \\'w\\')')",
        "x + 'open(\\'{mark}\\', \\'w\\')'",
        "exec(chr(49))!",
        "().__class__.__bases__",
        'f\'{{open("{mark}", "w")}}\'',
    ],
)
def test_answers_are_never_run_as_code(dataset: str, answer: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    verdict = verify(one(f"{dataset}?n=1&seed=1"), tagged(answer.format(mark=mark)))
    assert verdict.outcome in (Outcome.FORMAT_ERROR, Outcome.WRONG)
    assert not mark.exists()


def test_a_scorer_that_does_not_end_is_a_timeout_and_the_next_one_works() -> None:
    process = gym.GymProcess()
    process.ask("names", seconds=60)
    task = one("countdown?n=1&seed=1")
    meta = task.metadata
    request = ("score", "countdown", {}, meta["seed"], meta["index"], task.question)
    start = time.monotonic()
    with pytest.raises(gym.WorkerTimeout):
        process.ask(*request, "9**9**9**9", seconds=1)
    assert time.monotonic() - start < 5
    assert process.ask(*request, task.gold, seconds=60) == ("ok", 1.0)
    process.close()


def test_over_long_answers_are_not_scored() -> None:
    assert verify(one("chain_sum?n=1"), tagged("1" * 50_000)).outcome is Outcome.FORMAT_ERROR


def test_a_task_of_another_version_is_refused_with_a_sentence() -> None:
    task = one("chain_sum?n=1")
    other = task.model_copy(update={"question": "something else"})
    with pytest.raises(TaskError, match="was made by reasoning-gym .* Make the tasks again"):
        verify(other, "Answer: 1")
    with pytest.raises(TaskError, match="does not come from env:rg"):
        verify(Task(question="q", verifier="rg"), "Answer: 1")
