"""Role dialogues: what is taught is right, and nothing held out is taught."""

import json
import random
import re
from importlib.resources import files

import pytest

from maieutic.in_box import drills
from maieutic.in_box.curriculum import FULL, STAGES
from maieutic.in_box.dialogue import SYSTEMS, Dialogue
from maieutic.in_box.dialogues import (
    ROLES,
    critic,
    debater,
    judge,
    locate,
    refiner,
    refuse,
    sample,
    solve,
    solve_with_tool,
)
from maieutic.in_box.drafts import digit_by_digit, draft_of, first_wrong, review, verdict, wrong_solution
from maieutic.in_box.drills import compare
from maieutic.in_box.errands import query
from maieutic.in_box.families import Level, Problem, counted, draw, expression, work
from maieutic.in_box.outside import REFUSAL, outsider, part_of
from maieutic.tasks.market import GOODS
from maieutic.tasks.split import split_of

pytest.importorskip("reasoning_gym")

CHAIN = "State the final answer to the following arithmetic problem: {} ="
PRODUCT = "Solve the following multiplication: {}. Give only the result as your final answer."
HEADS = ("\n\nSolution:", "\n\nYour solution:", "\n\nCandidate 1:", "\n\nSteps:")


def _questions(dialogue: Dialogue) -> list[str]:
    asked = [m["content"] for m in dialogue.messages if m["role"] == "user"]
    for head in HEADS:
        asked = [text.split(head)[0] for text in asked]
    return asked


def test_the_training_stream_holds_no_held_out_question() -> None:
    rng = random.Random(1)
    seen = 0
    for stage in STAGES:
        for _ in range(1500):
            dialogue = sample(stage.mixture, rng)
            if dialogue.kind in {"copy", "compare", "recall"}:
                continue
            for question in _questions(dialogue):
                assert split_of(question) == "train"
                seen += 1
    assert seen > 4000


def test_the_program_of_a_training_dialogue_is_of_no_held_out_question() -> None:
    rng = random.Random(2)
    for _ in range(800):
        level = rng.choice([level for level in FULL if level.family != "leg_counting"])
        problem = draw(level, "train", rng, plain=rng.random() < 0.5)
        wording = CHAIN if level.family == "chain_sum" else PRODUCT
        assert split_of(wording.format(expression(problem))) == "train"


def _problems(count: int) -> list[Problem]:
    rng = random.Random(9)
    return [draw(level, "dev", rng) for level in FULL for _ in range(count)]


def test_the_critic_names_the_first_line_that_differs() -> None:
    rng = random.Random(3)
    named = 0
    for problem in _problems(10):
        draft = wrong_solution(problem, rng)
        number = first_wrong(draft, problem)
        assert number is not None
        right = work(problem)
        assert draft[: number - 1] == right[: number - 1]
        assert draft[number - 1 : number] != right[number - 1 : number]
        lines = review(draft, problem).split("\n")
        assert lines[-1] == f"First wrong step: {number}"
        assert lines[-2].endswith(", wrong") and len(lines) == number + 1
        named += number > 1
    assert named > 20


def test_the_critic_finds_nothing_in_a_right_solution() -> None:
    for problem in _problems(2):
        lines = review(work(problem), problem).split("\n")
        assert lines[-1] == "First wrong step: none"
        assert all(line.endswith(", right") for line in lines[:-1])


def test_the_critic_sets_the_answers_side_by_side_and_where_they_differ_the_lines() -> None:
    rng = random.Random(13)
    wrong_ones = 0
    for problem in _problems(5):
        right = work(problem)
        draft = draft_of(problem, rng, 0.6)
        number = first_wrong(draft, problem)
        quote, *lines = verdict(draft, problem).split("\n")
        assert quote == draft[-1].replace("Answer", "Said")
        assert lines[: len(right)] == right and lines[-1] == f"First wrong step: {number or 'none'}"
        answers, *flags = lines[len(right) : -1]
        assert _side_by_side(answers) == (quote, problem.answer, "wrong" if number else "right")
        assert len(flags) == (number or 0)
        for place, flag in enumerate(flags, 1):
            label, _, shown = flag.partition(": ")
            line, own, mark = _side_by_side(shown)
            assert (label, line, own) == (f"Step {place}", draft[place - 1], right[place - 1].split(" ")[-1])
            assert mark == ("wrong" if place == number else "right")
        wrong_ones += number is not None
    assert wrong_ones > 20


def _side_by_side(line: str) -> tuple[str, str, str]:
    """The draft's line, the own result, the mark; which is what the numbers say, as are the pairs of their digits."""
    shown, own, compared = line.rsplit(", ", 2)
    *pairs, mark = compared.split(" ")
    said = shown.split(" ")[-1]
    assert mark == ("right" if said == own else "wrong")
    first, second = (said + ".." * 9)[: len(pairs)], (own + ".." * 9)[: len(pairs)]
    assert pairs == [one + other for one, other in zip(first, second, strict=True)]
    assert [one == other for one, other in pairs] == [True] * (len(pairs) - 1) + [said == own]
    return shown, own, mark


@pytest.mark.parametrize(
    ("said", "own", "pairs"),
    [
        ("85", "83", "88 53 wrong"),
        ("5", "5", "55 .. right"),
        ("5", "57", "55 .7 wrong"),
        ("-57", "57", "-5 wrong"),
        ("100", "10", "11 00 0. wrong"),
    ],
)
def test_numbers_are_compared_digit_by_digit_up_to_the_first_that_differs(said: str, own: str, pairs: str) -> None:
    assert digit_by_digit(said, own) == pairs


def test_a_wrong_draft_that_is_taught_tells_by_its_numbers() -> None:
    rng = random.Random(14)
    for problem in _problems(10):
        draft, right = draft_of(problem, rng, 1.0), work(problem)
        number = first_wrong(draft, problem)
        assert number is not None and number <= len(draft)
        assert draft[-1] != right[-1] and draft[number - 1].split(" ")[-1] != right[number - 1].split(" ")[-1]


def test_drills_decide_rightly_and_as_often_one_way_as_the_other() -> None:
    rng = random.Random(15)
    marks: list[str] = []
    for _ in range(300):
        said = compare(rng).messages[-1]
        marks += [_side_by_side(line)[2] for line in said["content"].split("\n")]
        learnt = [piece.text for piece in said["pieces"] if piece.learnt]
        assert all(re.fullmatch(r"([-\d.]{2} )+(right|wrong)", text) for text in learnt)
    assert 0.4 < marks.count("wrong") / len(marks) < 0.6


def test_what_is_recalled_is_what_was_said_and_is_marked_by_the_answer() -> None:
    rng = random.Random(17)
    marks: list[str] = []
    for _ in range(400):
        given, says = drills.recall(rng).messages[-1]["pieces"]
        assert (given.learnt, says.learnt) == (False, True)
        *before, last = given.text.strip().split("\n")
        quotes = [line for line in before if ": " in line]
        *lines, end = says.text.split("\n") if len(quotes) > 1 else [says.text, ""]
        own = last.removeprefix("Answer: ")
        same = [quote.split(": ")[1] == own for quote in quotes]
        assert [_side_by_side(line) for line in lines] == [
            (quote, own, "right" if s else "wrong") for quote, s in zip(quotes, same, strict=True)
        ]
        assert end == (f"Choice: {same.index(True) + 1}" if end else "")
        assert not end or same.count(True) == 1
        marks += ["right" if s else "wrong" for s in same]
    assert 0.4 < marks.count("right") / len(marks) < 0.6


def test_the_first_wrong_line_is_located_where_it_is() -> None:
    rng = random.Random(18)
    places = set()
    for _ in range(200):
        dialogue = locate(rng)
        given, says = dialogue.messages[-1]["pieces"]
        assert (given.learnt, says.learnt) == (False, True)
        draft = dialogue.messages[1]["content"].split("\n\nSolution:\n")[1].split("\n")
        right = given.text.strip().split("\n")[1:-1]
        assert right[-1].startswith("Answer: ") and eval(_sum(dialogue.messages[1]["content"])) == int(right[-1][8:])
        *flags, end = says.text.split("\n")
        number = next(i for i, (line, own) in enumerate(zip(draft, right, strict=False), 1) if line != own)
        assert end == f"First wrong step: {number}" and len(flags) == number
        for place, flag in enumerate(flags, 1):
            line, own, mark = _side_by_side(flag.partition(": ")[2])
            assert (line, own) == (draft[place - 1], right[place - 1].split(" ")[-1])
            assert mark == ("wrong" if place == number else "right")
        places.add(number)
    assert len(places) > 3


def _sum(asked: str) -> str:
    """The sum that a question asks for, as it is written."""
    words = asked.split("\n\nSolution:")[0].split(": ")[-1]
    return re.split(r" =|\?|\.", re.sub(r"^[^\d-]*", "", words))[0]


def test_a_query_names_the_goods_of_its_question_in_their_order() -> None:
    rng = random.Random(16)
    for size in (1, 2, 3, 4):
        for _ in range(20):
            problem = draw(Level("prices", size, 9), "train", rng)
            said = query(problem, rng).messages[-1]
            asked = next(iter(json.loads(said["tool_calls"][0]["function"]["arguments"]).values()))
            assert said["content"].split("\n") == [f"{counted(term)}: {term.thing}" for term in problem.terms]
            assert [good for good in re.findall(r"[a-z]+", asked) if good in GOODS] == [t.thing for t in problem.terms]


def test_every_role_ends_in_the_right_answer() -> None:
    rng = random.Random(4)
    for problem in _problems(4):
        for role in (solve, solve_with_tool, refiner, debater):
            last = role(problem, rng).messages[-1]["content"]
            assert last.endswith(f"Answer: {problem.answer}")


def test_a_debater_keeps_what_another_one_has_come_to_as_well() -> None:
    rng = random.Random(19)
    kept = 0
    for problem in _problems(8):
        asked, said = (m["content"] for m in debater(problem, rng).messages[1:])
        own, *others = re.split(r"\n\nOther solution:\n", asked.split("\n\nYour solution:\n")[1])
        first, *lines = said.split("\n")
        assert first == f"Mine: {own.rsplit(' ', 1)[1]}"
        compared = [_side_by_side(line) for line in lines[: len(others)]]
        assert [label for label, _, _ in compared] == [f"Other: {other.rsplit(' ', 1)[1]}" for other in others]
        agreed = "right" in [mark for _, _, mark in compared]
        assert lines[len(others) :] == (work(problem)[-1:] if agreed else work(problem))
        kept += agreed
    assert 20 < kept < 8 * len(FULL) - 20


def test_a_verifier_believes_what_its_own_work_comes_to() -> None:
    rng = random.Random(20)
    seen = set()
    for problem in _problems(4):
        asked, said = (m["content"] for m in ROLES["verifier"](problem, rng).messages[1:])
        quote, *own, compared, verdict = said.split("\n")
        assert quote == f"Said: {asked.rsplit(' ', 1)[1]}" and own == work(problem)
        assert _side_by_side(compared) == (quote, problem.answer, "right" if verdict == "A" else "wrong")
        seen.add(verdict)
    assert seen == {"A", "B"}


def test_the_judge_chooses_the_only_candidate_with_the_right_answer() -> None:
    rng = random.Random(5)
    for problem in _problems(4):
        dialogue = judge(problem, rng)
        asked, said = (m["content"] for m in dialogue.messages[1:])
        choice = said.rsplit("Choice: ", 1)[1]
        candidates = asked.split("\n\nCandidate ")[1:]
        right = [c[0] for c in candidates if c.endswith(f"Answer: {problem.answer}")]
        assert right == [choice]
        lines = said.split("\n")
        assert lines[len(candidates) : -1 - len(candidates)] == work(problem)
        quotes, shown = lines[: len(candidates)], lines[-1 - len(candidates) : -1]
        for candidate, quote, line in zip(candidates, quotes, shown, strict=True):
            label, own, mark = _side_by_side(line)
            assert label == quote == f"Candidate {candidate[0]}: {candidate.rsplit(' ', 1)[1]}"
            assert own == problem.answer
            assert (mark == "right") == (candidate[0] == choice)


def test_roles_speak_as_their_prompts_say() -> None:
    rng = random.Random(6)
    problem = draw(Level("chain_sum", 3, 1), "dev", rng)
    for kind, role in (("critic", critic), ("refiner", refiner), ("debater", debater), ("judge", judge)):
        assert role(problem, rng).messages[0] == {"role": "system", "content": SYSTEMS[kind]}
    asked = {"critic", "refiner", "debater", "judge", "verifier", "peer", "stepper", "valuer"}
    assert set(ROLES) == {"solve", "tool", "recheck"} | asked


@pytest.mark.parametrize("role", ["critic", "refiner", "debater", "judge", "verifier", "stepper", "valuer"])
def test_what_the_agents_ask_is_what_was_trained(role: str) -> None:
    prompt = (files("maieutic.agents") / "prompts" / "in_box" / f"{role}.txt").read_text(encoding="utf-8")
    system, template = prompt.strip().split("\n---\n")
    pattern = re.sub(r"\\\{[a-z_]+\\\}", "(.+)", re.escape(template))
    rng = random.Random(10)
    for problem in _problems(1):
        messages = ROLES[role](problem, rng).messages
        assert messages[0]["content"] == system
        found = re.fullmatch(pattern, messages[1]["content"], re.DOTALL)
        assert found and found[1].startswith(problem.question)


def test_the_next_step_goes_on_from_the_steps_so_far() -> None:
    rng = random.Random(11)
    after_an_error = 0
    for problem in _problems(10):
        messages = ROLES["stepper"](problem, rng).messages
        line = messages[-1]["content"]
        shown = _steps(messages[1]["content"])
        right = work(problem)
        if shown == right[: len(shown)]:
            assert line == right[len(shown)]
        else:
            after_an_error += 1
            said, _, result = line.rpartition(" = ")
            if said:
                assert eval(said.rpartition(": ")[2]) == int(result)
            else:
                assert line == f"Answer: {shown[-1].rpartition(' = ')[2]}"
    assert after_an_error > 10


def test_a_valuer_knows_the_solved_the_holding_and_the_lost() -> None:
    rng = random.Random(12)
    seen = set()
    for problem in _problems(10):
        messages = ROLES["valuer"](problem, rng).messages
        shown, right = _steps(messages[1]["content"]), work(problem)
        status = messages[-1]["content"].rsplit("\nStatus: ", 1)[1]
        holds = shown == right[: len(shown)]
        quote, *again, compared, _ = messages[-1]["content"].split("\n")
        assert quote == f"Said: {shown[-1].split(' ')[-1]}"
        assert again == [f"{number}. {line}" for number, line in enumerate(right[: len(shown)], 1)]
        said, own, mark = _side_by_side(compared)
        assert (said, own) == (quote, again[-1].split(" ")[-1])
        assert (mark == "right") == holds
        assert status == ("E" if not holds else "A" if len(shown) == len(right) else "B")
        seen.add(status)
    assert seen == {"A", "B", "E"}


def _steps(asked: str) -> list[str]:
    steps = asked.split("\n\nSteps:\n", 1)[1]
    return [] if steps == "none yet" else [step.split(": ", 1)[1] for step in steps.split("\n\n")]


def test_outsiders_are_refused_in_every_role() -> None:
    rng = random.Random(7)
    said = {refuse(rng).messages[-1]["content"] for _ in range(100)}
    assert said == {REFUSAL}


def test_held_out_outsiders_are_none_of_those_trained_on() -> None:
    rng = random.Random(8)
    trained = {outsider(rng, "train") for _ in range(80)}
    held_out = {outsider(rng, "held_out") for _ in range(80)}
    assert not trained & held_out
    assert {part_of(name) for name in ("gcd", "zebra_puzzles", "sudoku", "maze", "dice")} == {"train", "held_out"}


def test_what_is_put_into_thoughts_is_what_the_graphs_put_there() -> None:
    from maieutic.agents import peer_thought
    from maieutic.graphs import deepening, rethink
    from maieutic.in_box import thoughts

    assert {deepening.TRIGGER, *rethink.TRIGGERS.values()} <= set(thoughts.SECOND_THOUGHTS)
    assert thoughts.PAUSES == peer_thought.PAUSES
    assert (thoughts.NUDGE, thoughts.NOBODY) == (peer_thought.NUDGE, peer_thought.NOBODY)


def test_a_thought_that_was_interrupted_goes_on_from_its_first_wrong_step() -> None:
    rng = random.Random(8)
    resumed = 0
    for problem in _problems(6):
        said = ROLES["peer"](problem, rng).messages[-1]
        if "pieces" not in said:
            continue
        own = said["pieces"][0].text.split("\n\n")[0].split("\n")
        right = work(problem)
        goes_on = said["pieces"][-1].text.split("\n")
        kept = right[: len(right) - len(goes_on)]
        assert [*kept, *goes_on] == right and own[: len(kept)] == kept
        resumed += 1
    assert resumed > 20
