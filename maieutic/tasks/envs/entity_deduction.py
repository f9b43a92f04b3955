"""`env:entity_deduction`: twenty questions: find out what somebody is thinking of by asking what can be answered yes
or no.

After the Entity-Deduction Arena (Zhang et al. 2023, arXiv 2310.01468). A task alone is a guess without a question;
the game is played by the graph `maieutic.graphs.twenty_questions`, which needs the oracle, since its judge has to
know the entity. That a guess is right is decided here by rule, never by the judge. A win by turn 5 is worth 1, then
0.02 less for each turn: 0.9 at turn 10, 0.7 at turn 20.

Deviations: entities are lists of our own, of three kinds; a guess that names several of them is none (the released
rule looks for the entity's name alone, so that a list of everything wins), and so is one in a comparison; and which
split an entity is in decides the split of its games, so that no entity of the test split is played in training.
"""

import re
from hashlib import blake2b
from random import Random
from typing import Literal

from maieutic.tasks.generated import Draft, Knobs, generated
from maieutic.tasks.split import split_of
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

ENTITIES = {
    "animal": (
        "badger|brock", "bat", "beaver", "butterfly", "camel|dromedary", "chameleon", "cheetah", "crab",
        "crow|raven", "dolphin", "donkey", "eagle", "eel", "elephant", "flamingo", "fox", "frog|toad",
        "giraffe", "goat", "gorilla", "hedgehog", "heron", "hippopotamus|hippo", "honeybee|bee", "jellyfish",
        "kangaroo", "koala", "ladybird|ladybug", "lobster", "moose|elk", "mosquito", "octopus", "ostrich",
        "otter", "owl", "panda", "peacock", "penguin", "pigeon|dove", "porcupine", "puffin", "rabbit|hare",
        "reindeer|caribou", "rhinoceros|rhino", "salmon", "scorpion", "seahorse", "shark", "sheep", "sloth",
        "snail", "sparrow", "spider", "squirrel", "swan", "tiger", "tortoise|turtle", "walrus", "wasp", "whale",
        "wolf", "woodpecker", "zebra",
    ),
    "thing": (
        "accordion", "anchor", "axe", "backpack|rucksack", "bicycle|bike", "binoculars", "blanket",
        "bookshelf|bookcase", "bottle", "broom", "bucket|pail", "calendar", "camera", "candle", "chair",
        "chessboard", "clock", "compass", "crown", "drum", "fork", "glove", "guitar", "hammer", "hammock",
        "harp", "helmet", "kettle", "kite", "ladder", "lamp", "lighthouse", "mirror", "needle", "newspaper",
        "oven", "padlock", "paintbrush", "parachute", "passport", "piano", "pillow", "refrigerator|fridge",
        "rope", "sandal", "scarf", "scissors", "shovel|spade", "skateboard", "spectacles|glasses", "stapler",
        "sundial", "surfboard", "suitcase", "telescope", "tent", "thermometer", "toaster", "toothbrush",
        "tractor", "trumpet", "umbrella", "vase", "violin|fiddle", "wallet", "wheelbarrow", "whistle",
        "windmill", "zip|zipper",
    ),
    "person": (
        "Ada Lovelace|Lovelace", "Albert Einstein|Einstein", "Alexander the Great", "Archimedes", "Aristotle",
        "Bach|Johann Sebastian Bach", "Beethoven|Ludwig van Beethoven", "Catherine the Great", "Cervantes",
        "Charlemagne", "Charles Darwin|Darwin", "Charles Dickens|Dickens", "Christopher Columbus|Columbus",
        "Cleopatra", "Confucius", "Dante", "Euclid", "Florence Nightingale|Nightingale", "Frida Kahlo|Kahlo",
        "Galileo", "Genghis Khan", "Goethe", "Gutenberg|Johannes Gutenberg", "Hannibal", "Homer", "Ibn Battuta",
        "Isaac Newton|Newton", "Jane Austen|Austen", "Joan of Arc", "Julius Caesar|Caesar",
        "Leonardo da Vinci|Leonardo|da Vinci", "Magellan|Ferdinand Magellan", "Marco Polo", "Marie Curie|Curie",
        "Mark Twain", "Mary Shelley", "Michelangelo", "Mozart|Wolfgang Amadeus Mozart", "Napoleon", "Nefertiti",
        "Nikola Tesla|Tesla", "Picasso|Pablo Picasso", "Plato", "Pythagoras", "Rembrandt",
        "Roald Amundsen|Amundsen", "Shakespeare|William Shakespeare", "Socrates", "Spinoza",
        "Tolstoy|Leo Tolstoy", "Tutankhamun", "Vincent van Gogh|van Gogh", "Virginia Woolf|Woolf", "Voltaire",
    ),
}  # fmt: skip
_TURNS = re.compile(r"\s*\((\d{1,3}) turns?\)\s*\Z")
_MENTIONED = r"\b(?:than|like|as|with|has|have|on|in|from|for)\s+(?:an?\s+|the\s+)?"
"""Before a name: it is compared with something, or part of it, and not guessed."""
LOST = "nothing"


class EntityDeduction(Knobs):
    kind: Literal["animal", "thing", "person"] = "animal"
    """What is thought of."""


LEVELS = (EntityDeduction(), EntityDeduction(kind="thing"), EntityDeduction(kind="person"))


@generated("entity_deduction", levels=LEVELS, kinds=tuple(ENTITIES))
def entity_deduction(knobs: EntityDeduction, rng: Random) -> Draft | None:
    """Twenty questions: find an animal, a thing or a person by questions that are answered yes or no."""
    entity = rng.choice(ENTITIES[knobs.kind])
    what = {"animal": "an animal", "thing": "a thing", "person": "a person of history, long dead,"}[knobs.kind]
    for _ in range(500):
        game = blake2b(str(rng.random()).encode(), digest_size=4).hexdigest()
        question = (
            f"I am thinking of {what} that you have to find out (game {game}). Ask what can be answered with yes or "
            "no, one question at a time. Once you are sure, name it in your question.\n"
            "Where you can't ask anything, guess: Answer: NAME"
        )
        if split_of(question) == split_of(entity.partition("|")[0]):
            break
    else:
        return None
    return Draft(question, entity, "text", {"kind": knobs.kind}, chance=1 / len(ENTITIES[knobs.kind]))


@verifier("entity_deduction", answer_type="text")
def check(task: Task, answer: str) -> Verdict:
    """Right where the entity is named, and nothing else of the lists; "(7 turns)" behind it says how long it took."""
    said = _TURNS.search(answer)
    named = _TURNS.sub("", answer)
    if not names(str(task.gold), named):
        return Verdict(Outcome.WRONG, 0.0)
    return Verdict(Outcome.CORRECT, score(int(said[1]) if said else 1))


def score(turns: int) -> float:
    """What a win is worth: 1 up to turn 5, then 0.02 less a turn (as the arena's evaluation has it)."""
    return max(0.0, 1 - 0.02 * max(turns - 5, 0))


def names(entity: str, text: str) -> bool:
    """Whether a text names the entity, by one of its names, and guesses nothing else of the lists."""
    if not _stands_in(entity, text):
        return False
    if re.search(rf"{_MENTIONED}{_pattern(entity).pattern}", text, re.IGNORECASE):
        return False
    rest = _pattern(entity).sub(" ", text)
    return not any(_stands_in(other, rest) for of in ENTITIES.values() for other in of if other != entity)


def _stands_in(entity: str, text: str) -> bool:
    return _pattern(entity).search(text) is not None


def _pattern(entity: str) -> re.Pattern[str]:
    aliases = sorted(entity.split("|"), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, aliases))})(?:e?s)?\b", re.IGNORECASE)
