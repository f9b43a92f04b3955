"""Questions that the in-box model can't answer, and what it says instead.

They come from the other reasoning-gym datasets, from near misses of its own families (numbers too long, divisions,
decimals) and from ordinary conversation. A third of the datasets and topics is held out of training, so that the rate
of refusal is measured on kinds of question that it has never been refused on.
"""

import functools
import hashlib
import random
from typing import Any, Literal

from maieutic.tasks.split import split_of

Part = Literal["train", "held_out"]

REFUSAL = (
    "I am only Maieutic's small in-box model: I know chain sums, products and leg counting. "
    "To connect a real model, use `maieutic ask --model openai/NAME` with a base URL (README, Models)."
)
_MAX_CHARS = 360
_INSIDE = {"chain_sum", "products", "leg_counting"}
_SLOW = {
    "rearc",
    "arc_agi",
    "arc_1d",
    "tsumego",
    "rush_hour",
    "mahjong_puzzle",
    "sokoban",
    "boxnet",
    "codeio",
    "composite",
    "futoshiki",
    "knight_swap",
    "puzzle24",
    "zebra_puzzles",
    "intermediate_integration",
}
_TOPICS = (
    "the French Revolution", "photosynthesis", "a good recipe for soup", "the capital of Australia", "quantum physics",
    "how to learn Spanish", "the weather in Oslo", "black holes", "my cat", "the stock market", "Shakespeare",
    "machine learning", "the history of Rome", "electric cars", "vaccines", "a haiku about autumn", "Socrates",
    "the speed of light", "jazz music", "football", "climate change", "the Pythagorean theorem", "bread baking",
    "volcanoes", "the human brain", "chess openings", "Mozart", "the moon landing", "rainforests", "tax law",
    "renewable energy", "the Silk Road", "gardening", "whales", "the Olympic Games", "coffee", "databases", "Linux",
    "the best way to sleep", "dinosaurs", "cooking rice", "the Roman Empire", "poetry", "Python decorators", "sorting",
)  # fmt: skip
_ASKS = (
    "Tell me about {}.", "What do you think of {}?", "Explain {} to a child.", "Write a short essay about {}.",
    "Why is {} important?", "Give me three facts about {}.", "Can you help me with {}?", "I want to know more on {}",
    "Summarise {} in one sentence.", "How does {} work?", "Who knows most about {}?", "Translate '{}' into German.",
    "Write a poem on {}.", "What is {}?", "When did people first hear of {}?", "List five books about {}.",
)  # fmt: skip
_GREETINGS = (
    "Hello", "Hi", "Hi there!", "Hey", "Good morning", "How are you?", "Who are you?", "What can you do?", "Thanks!",
    "Are you there?", "What is your name?", "help", "Hello, who made you?", "Good evening.", "Tell me a joke.",
    "Are you a real model?", "ok", "What model is this?", "Bye", "Nice to meet you.", "Can you code?", "test",
)  # fmt: skip
_WORDS = (
    "the a of and to in was that his with as on had for at she they from but not were her by which one all there river "
    "house night old little morning road window garden letter stone light voice town winter train field mother captain "
    "walked looked said came went stood turned found slowly never again always between under before after through long"
).split()


def part_of(name: str) -> Part:
    """Whether a kind of question is trained on; one in three isn't."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return "held_out" if int.from_bytes(digest, "big") % 3 == 0 else "train"


@functools.cache
def datasets(part: Part) -> tuple[str, ...]:
    """Names of the reasoning-gym datasets outside the families that belong to `part`."""
    from reasoning_gym.factory import DATASETS

    return tuple(sorted(n for n in DATASETS if n not in _INSIDE | _SLOW and part_of(n) == part))


def outsider(rng: random.Random, part: Part = "train") -> str:
    """A question from outside the families."""
    kind = rng.choices((_from_dataset, _near_miss, _topic, _greeting, _prose), (45, 25, 18, 5, 7))[0]
    while True:
        text = kind(rng, part)[: rng.choice((80, 160, 160, _MAX_CHARS))].strip()
        if (split_of(text) == "train") == (part == "train"):
            return text


def from_dataset(name: str, rng: random.Random) -> str:
    """The question of an item of the reasoning-gym dataset `name`, cut to the length that is trained on."""
    return str(_dataset(name)[rng.randrange(_POOL)]["question"])[:_MAX_CHARS].strip()


_POOL = 60


@functools.cache
def _item(name: str, index: int) -> str:
    return str(_dataset(name)[index]["question"])


def _from_dataset(rng: random.Random, part: Part) -> str:
    return _item(rng.choice(datasets(part)), rng.randrange(_POOL))


@functools.cache
def _dataset(name: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(name, size=_POOL, seed=0)


def _near_miss(rng: random.Random, part: Part) -> str:
    big = [rng.randint(100, 99999) for _ in range(8)]
    small = [rng.randint(1, 99) for _ in range(12)]
    ops = [rng.choice("+-") for _ in range(12)]
    chain = " ".join(f"{n} {op}" for n, op in zip(big[: rng.randint(2, 6)], ops, strict=False))[:-2]
    long_chain = " ".join(f"{n} {op}" for n, op in zip(small[: rng.randint(9, 12)], ops, strict=False))[:-2]
    decimals = f"{small[0]}.{small[1]} {ops[0]} {small[2]}.{small[3]}"
    asks = ("What is {}?", "{}", "Calculate {}.", "State the final answer to the following arithmetic problem: {} =")
    texts = [
        rng.choice(asks).format(chain),
        rng.choice(asks).format(long_chain),
        rng.choice(asks).format(decimals),
        rng.choice(asks).format(f"{small[0]} / {small[1]}"),
        rng.choice(asks).format(f"{small[0]} ** {small[1]}"),
        rng.choice(asks).format(f"({small[0]} {ops[0]} {small[1]}) * {small[2]}"),
        f"Solve the following multiplication: {big[0]} * {big[1]}. Give only the result as your final answer.",
        f"What is {big[0]} * {small[0]}?",
        f"What is the square root of {big[0]}?",
        f"Solve for x: {small[0]}x + {small[1]} = {small[2]}",
        f"What is {small[0]} percent of {big[0]}?",
        f"Is {big[0]} a prime number?",
    ]
    return rng.choice(texts)


def _topic(rng: random.Random, part: Part) -> str:
    while True:
        ask, topic = rng.choice(_ASKS), rng.choice(_TOPICS)
        if part_of(topic) == part:
            return ask.format(topic)


def _greeting(rng: random.Random, part: Part) -> str:
    extra = "" if part == "train" and rng.random() < 0.5 else " " + " ".join(rng.choices(_WORDS, k=rng.randint(1, 4)))
    return rng.choice(_GREETINGS) + extra


def _prose(rng: random.Random, part: Part) -> str:
    words = rng.choices(_WORDS, k=rng.randint(8, 60))
    return " ".join(words).capitalize() + "."
