"""`env:goods_exchange`: people swap things, and at the end everybody has something else.

After SynLogic (Liu et al. 2025, arXiv 2505.19641): swaps are told by the people, by the things, or by both, and the
answer is who has what at the end, all of it.
"""

from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.structures import json_key
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

NAMES: tuple[str, ...] = (
    "Anna", "Boris", "Clara", "David", "Emil", "Frida", "Georg", "Helene", "Ilja", "Jette", "Karl", "Luise", "Max",
    "Nora", "Oskar", "Paula", "Rafael", "Selma", "Theo", "Ursula", "Viktor", "Wanda", "Xenia", "Yusuf",
)  # fmt: skip
GOODS: tuple[str, ...] = (
    "lamp", "kettle", "violin", "ladder", "blanket", "mirror", "basket", "telescope", "hammer", "umbrella", "clock",
    "saddle", "vase", "drum", "compass", "teapot", "candle", "anchor", "globe", "whistle", "rug", "flute", "bucket",
    "lantern",
)  # fmt: skip


class GoodsExchange(Knobs):
    people: int = Field(default=3, ge=2, le=24)
    """People, each with one thing."""
    swaps: int = Field(default=4, ge=1, le=200)
    """How often two of them swap."""


LEVELS = (
    GoodsExchange(),
    GoodsExchange(people=5, swaps=8),
    GoodsExchange(people=8, swaps=16),
    GoodsExchange(people=14, swaps=40),
    GoodsExchange(people=24, swaps=100),
)


@generated("goods_exchange", levels=LEVELS)
def goods_exchange(knobs: GoodsExchange, rng: Random) -> Draft:
    """Goods exchange: who has what after many swaps."""
    names, goods = rng.sample(NAMES, knobs.people), rng.sample(GOODS, knobs.people)
    has = dict(zip(names, goods, strict=True))
    start = "; ".join(f"{name} has the {thing}" for name, thing in has.items())
    lines = []
    for number in range(1, knobs.swaps + 1):
        a, b = rng.sample(names, 2)
        lines.append(f"{number}. {_told(rng, a, b, has)}")
        has[a], has[b] = has[b], has[a]
    question = (
        f"At first {start}. Then:\n\n" + "\n".join(lines) + "\n\nWho has what at the end?\n"
        "End with: Answer: a JSON object from each name to a thing"
    )
    chance = 1.0
    for number in range(2, knobs.people + 1):
        chance /= number
    gold = {name: has[name] for name in sorted(names)}
    return Draft(question, gold, "json", {"names": names}, difficulty=float(knobs.swaps), chance=chance)


@verifier("goods_exchange", answer_type="json")
def check(task: Task, answer: str) -> bool | Verdict:
    """Everybody's thing is the right one; capitals and "the" don't matter."""
    gold = task.gold
    key = json_key(answer)
    if not isinstance(gold, dict) or not isinstance(key, tuple) or key[0] != "object":
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not a JSON object")
    said = {str(name).strip().casefold(): _thing(value) for name, value in key[1]}
    if set(said) != {name.casefold() for name in instance_of(task)["names"]}:
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not an object with each of the names")
    return all(said[name.casefold()] == thing for name, thing in gold.items())


def _thing(value: object) -> str:
    text = str(value[1]) if isinstance(value, tuple) else str(value)
    return text.strip().casefold().removeprefix("the ")


def _told(rng: Random, a: str, b: str, has: dict[str, str]) -> str:
    match rng.randint(1, 3):
        case 1:
            return f"{a} and {b} swap what they have."
        case 2:
            return f"{a} swaps with whoever has the {has[b]}."
        case _:
            return f"Whoever has the {has[a]} swaps with whoever has the {has[b]}."
