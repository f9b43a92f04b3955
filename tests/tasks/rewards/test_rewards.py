"""Rewards against golden values, worked out from their definitions, and against what would hack them."""

import pytest

from maieutic.errors import ConfigError, UnknownName
from maieutic.tasks.rewards.answer import rise_outcome
from maieutic.tasks.rewards.length import BudgetController, bucket, loops
from maieutic.tasks.rewards.parts import Reward, Scored, find_part, part_names
from maieutic.tasks.rewards.preference import level
from maieutic.tasks.rewards.steps import change_similarity, reflection_weights
from maieutic.types import Outcome

RIGHT, WRONG, UNPARSED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED
LIMITS = {"high": 2048, "medium": 2048, "low": 2048}


def scored(outcome: Outcome | None = RIGHT, text: str = "x", tokens: int = 10, **facts: object) -> Scored:
    return Scored(text, tokens, outcome, facts=facts)


def test_every_part_is_known_by_its_name_and_others_are_refused() -> None:
    assert {"answer", "laser", "laser_de", "rank", "vrag", "r3", "trpa", "patch_similarity"} <= set(part_names())
    with pytest.raises(UnknownName, match="reward part"):
        Reward({"anser": 1.0})
    with pytest.raises(ConfigError, match="laser"):
        Reward({"answer": 1.0}, {"laser": {"limit": 3}})


def test_parts_are_added_by_their_weights_and_missing_is_not_zero() -> None:
    reward = Reward({"answer": 2.0, "tool_success": 0.5}, {"answer": {"wrong": 0.1}})
    parts = reward.parts(scored(WRONG, tool_statuses=["ok", "error"]))
    assert parts == {"answer": 0.1, "tool_success": 0.5}
    assert reward.total(parts) == pytest.approx(0.45)
    assert reward.total(reward.parts(scored(None))) is None
    assert reward.parts(scored(RIGHT)) == {"answer": 1.0, "tool_success": None}


@pytest.mark.parametrize(
    ("place", "value"),
    [(1, 2.0), (2, 1.8889), (10, 1.0), (11, 0.9889), (50, 0.5556), (100, 0.0), (101, 0.0), (0, 0.0)],
)
def test_convsearch_rank(place: int, value: float) -> None:
    assert find_part("rank")(scored(rank=place)) == pytest.approx(value, abs=5e-5)
    assert find_part("rank")(scored(rank=place, well_formed=False)) == -0.1


@pytest.mark.parametrize(
    ("name", "outcome", "tokens", "value"),
    [
        ("laser", RIGHT, 1500, 1.5),
        ("laser", RIGHT, 2048, 1.5),
        ("laser", RIGHT, 3000, 1.0),
        ("laser", WRONG, 1500, -0.5),
        ("laser", UNPARSED, 1500, -1.0),
        ("laser", None, 1500, None),
        ("laser_de", WRONG, 3000, 0.0),
        ("laser_de", WRONG, 1000, -0.5),
        ("laser_de", RIGHT, 1500, 1.5),
    ],
)
def test_laser(name: str, outcome: Outcome | None, tokens: int, value: float | None) -> None:
    settings = {} if name == "laser" else {"limits": LIMITS}
    assert find_part(name)(scored(outcome, "many different words", tokens), **settings) == value


def test_laser_de_gives_nothing_for_a_loop_and_laser_nothing_for_an_open_thought() -> None:
    looping = "I will check this once more, carefully. " * 60
    assert loops(looping)
    assert find_part("laser_de")(scored(WRONG, looping, 3000), limits=LIMITS) == -0.5
    assert find_part("laser")(scored(RIGHT, "<think> the answer is 7"), thinking=True) == -1.0
    assert find_part("laser")(scored(RIGHT, "<think> so </think> 7"), thinking=True) == 1.5


@pytest.mark.parametrize(
    ("right", "name"), [(8, "high"), (6, "high"), (5, "medium"), (3, "medium"), (2, "low"), (0, "low")]
)
def test_a_prompt_is_as_hard_as_its_group_finds_it(right: int, name: str) -> None:
    group = tuple(scored(RIGHT if i < right else WRONG) for i in range(8))
    assert bucket(group) == name


def test_the_hardest_prompts_need_full_coverage() -> None:
    lengths = [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000]
    limits = BudgetController().limits({"high": lengths, "medium": lengths, "low": lengths})
    assert limits == {"high": 2048, "medium": 5120, "low": 10240}
    assert BudgetController().limits({})["low"] == 16384


def test_cosine_length_falls_for_right_and_rises_for_wrong_answers() -> None:
    cosine = find_part("cosine_length")
    right = [cosine(scored(RIGHT, tokens=n)) for n in (0, 4096, 8191, 8192)]
    wrong = [cosine(scored(WRONG, tokens=n)) for n in (0, 4096, 8191, 8192)]
    assert right == pytest.approx([1.0, 0.75, 0.5, -1.0], abs=1e-3)
    assert wrong == pytest.approx([-1.0, -0.75, -0.5, -1.0], abs=1e-3)


@pytest.mark.parametrize(("outcome", "values"), [(RIGHT, (0.5, 0.0, -0.5)), (WRONG, (0.0, 0.0, -0.5))])
def test_long_short_length(outcome: Outcome, values: tuple[float, ...]) -> None:
    group = tuple(scored(outcome, "x" * n) for n in (100, 200, 300))
    found = tuple(find_part("group_length")(Scored(one.text, 0, outcome, group)) for one in group)
    assert found == values
    same = (scored(outcome, "aa"), scored(outcome, "bb"))
    assert find_part("group_length")(Scored("aa", 0, outcome, same)) == 0.0
    assert find_part("group_length")(scored(outcome)) is None


@pytest.mark.parametrize(
    ("outcome", "well_formed", "place", "value"),
    [(RIGHT, True, 1, 3.0), (WRONG, True, 2, -0.5), (UNPARSED, True, 3, -1.0), (RIGHT, False, 4, -3.0)],
)
def test_trpa_levels(outcome: Outcome, well_formed: bool, place: int, value: float) -> None:
    one = scored(outcome, well_formed=well_formed)
    assert (level(one), find_part("trpa")(one)) == (place, value)


@pytest.mark.parametrize(
    ("target", "text", "value"),
    [(-0.5, r"\boxed{-0.5}", 1.0), (-0.5, r"\boxed{1}", -0.5), (1.0, "fine", -1.0), (1.0, r"\boxed{1.0}", 1.0)],
)
def test_rise_verification(target: float, text: str, value: float) -> None:
    assert find_part("rise_verification")(scored(text=text, target=target)) == value
    assert [rise_outcome(outcome) for outcome in (RIGHT, WRONG, UNPARSED, None)] == [1.0, -0.5, -1.0, None]


def test_vrag() -> None:
    facts = {"searches": 1, "answered": True, "retrieved": ["a", "b"], "relevant": ["a", "b"]}
    assert find_part("vrag")(scored(judged=1, **facts)) == pytest.approx(1.0)
    assert find_part("vrag")(scored(judged=0, **facts)) == pytest.approx(0.3)
    assert find_part("vrag")(scored(judged=1, **{**facts, "searches": 0})) == 0.0


@pytest.mark.parametrize(
    ("text", "strict", "relaxed"),
    [
        ("<think>a</think>\n<answer>7</answer>", 1.0, 1.0),
        ("<answer>7</answer><think>a</think>", 0.0, 0.5),
        ("<think>a</think> 7", 0.0, 0.25),
        ("<think>a</think><answer>7</answer><answer>8</answer>", 0.0, 1.0),
        ("<think>a<answer>6</answer></think><answer>7</answer>", 0.0, 1.0),
        ("7", 0.0, 0.0),
    ],
)
def test_form(text: str, strict: float, relaxed: float) -> None:
    assert find_part("format_strict")(scored(text=text)) == strict
    assert find_part("format_relaxed")(scored(text=text)) == relaxed


def test_reasoning_patterns_count_presence_and_not_frequency() -> None:
    pattern = find_part("reasoning_pattern")
    once = pattern(scored(text="First, we look. Thus it holds."))
    assert once == pattern(scored(text="First, we look. Thus it holds. Thus it holds. First, we look."))
    assert 0 < once < 1  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    assert pattern(scored(UNPARSED, "First, thus, wait, therefore")) == 0.0
    stuffed = "first, wait, thus, we go on and on and on with the same words until nobody can bear it any more " * 9
    assert pattern(scored(text=stuffed)) < 0.2  # pyright: ignore[reportOptionalOperand]


def test_state_and_calls() -> None:
    state = find_part("state_match")(scored(wanted_state={"a": 1, "b": 2}, reached_state={"a": 1, "b": 3}))
    calls = find_part("call_match")(scored(wanted_calls=["f", "f", "g"], made_calls=["f", "g", "h"]))
    assert (state, calls) == (0.25, pytest.approx(0.5 * 2 / 3))
    assert find_part("state_match")(scored()) is None


BEFORE, AFTER = "a\nb\nc\n", "a\nB\nc\n"
BLOCK = "### m.py\n<<<<<<< SEARCH\nb\n=======\nB\n>>>>>>> REPLACE"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"<think>so</think><solution>{BLOCK}</solution>", 1.0),
        (f"<think></think><solution>{BLOCK}</solution>", -1.0),
        (f"<solution>{BLOCK}</solution>", -1.0),
        ("<think>so</think><solution>nothing</solution>", -1.0),
        (f"<think>so</think><solution>{BLOCK.replace('b', 'zz', 1)}</solution>", -1.0),
        (f"<think>so</think><solution>{BLOCK.replace('B', 'b')}</solution>", -1.0),
    ],
)
def test_patches(text: str, value: float) -> None:
    facts = {"files": {"m.py": BEFORE}, "oracle": {"m.py": AFTER}}
    assert find_part("patch_similarity")(scored(text=text, **facts)) == value  # pyright: ignore[reportArgumentType]


def test_another_file_halves_the_mean_and_doing_nothing_is_like_doing_nothing() -> None:
    files = {"m.py": BEFORE, "n.py": BEFORE}
    assert change_similarity(files, {"m.py": AFTER, "n.py": AFTER}, {"m.py": AFTER}) == 0.5
    assert change_similarity(files, {}, {}) == 1.0


def test_r3_weighs_what_the_reasoning_decides() -> None:
    good, poor = [-0.1, -0.2], [-0.1, -2.2]
    assert reflection_weights([good, poor]) == [0.0, 1.0]
    group = (scored(reference_logprobs=good), scored(reference_logprobs=poor))
    values = [
        find_part("r3")(Scored("", 0, None, group, {"reference_logprobs": lps, "plain_logprobs": [-0.1, -1.0]}))
        for lps in (good, poor)
    ]
    assert values == [pytest.approx(0.8), pytest.approx(-1.2)]
    assert find_part("r3")(scored(reference_logprobs=good)) is None


def test_no_failing_query_outranks_a_right_one() -> None:
    pytest.importorskip("sqlglot")
    gold = "SELECT name FROM people WHERE age > 30"
    right = scored(RIGHT, sql="SELECT p.name FROM people p WHERE p.age > 30", gold_sql=gold, ran=True)
    near = scored(
        WRONG, "<think>x</think><answer>y</answer>", sql=gold + " OR 1=1", gold_sql=gold, ran=True, judged=1.0
    )
    far = scored(WRONG, sql="SELECT", gold_sql=gold, ran=False, judged=0.0)
    values = [find_part("reasoning_sql")(one) for one in (right, near, far)]
    assert values[0] > values[1] > values[2]  # pyright: ignore[reportOperatorIssue]
    assert find_part("sql_schema")(far) == 0.0
    assert find_part("sql_schema")(near) == 1.0
    assert find_part("sql_judge")(right) is None
