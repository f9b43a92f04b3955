"""The tokenizer and chat template of the in-box model, and the renderer that training uses.

Digits are single tokens and an operator carries its spaces, so that `4 - 1 = 3` is five tokens. The template renders
tools as one short line: the model knows them by name.
"""

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.in_box.dialogue import Dialogue, Message

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = 1024
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
_PIECES = r"\n+| ?[-+*/=] ?|\d| ?\p{L}+|[^\s\p{L}\d]+ ?|[^\S\n]+"
WEIGHTS = Path(__file__).parents[1] / "llm" / "weights" / "in_box"


def render(messages: list[Message], tools: list[str]) -> Iterator[tuple[str, bool]]:
    """(text, learnt) pieces of a conversation, as the chat template writes it.

    Both close up double blank lines: a question that ends in a line break is quoted like one that doesn't.
    """
    system = messages[0]["content"].strip() if messages[0]["role"] == "system" else ""
    named = f"Tools: {', '.join(tools)}" if tools else ""
    if system or named:
        yield f"{START}system\n" + "\n".join(line for line in (system, named) if line) + f"{END}\n", False
    for message in messages:
        if message["role"] == "assistant":
            yield f"{START}assistant\n", False
            *given, (last, _) = message.get("pieces") or [(_assistant(message), True)]
            yield from given
            yield last + END, True
            yield "\n", False
        elif message["role"] != "system":
            content = message["content"].strip().replace("\n\n\n", "\n\n")
            yield f"{START}{message['role']}\n{_asked(content)}{END}\n", False


def _asked(content: str) -> str:
    """A quoted question moved behind the drafts about it: the model goes on from where a message ends."""
    for head in ("\n\nSolution:\n", "\n\nYour solution:\n", "\n\nCandidate 1:\n"):
        question, found, drafts = content.partition(head)
        if found and question:
            return f"{head.strip()}\n{drafts}\n\n{question}"
    return content


def _assistant(message: Message) -> str:
    parts = [message["content"]] if message["content"] else []
    for call in message.get("tool_calls", ()):
        function = call["function"]
        parts.append(f'{CALL}\n{{"name": "{function["name"]}", "arguments": {function["arguments"]}}}\n{CALL_END}')
    return "\n".join(parts)


def encode(dialogue: Dialogue, tokenizer: "Tokenizer") -> tuple[list[int], list[bool]]:
    """Token ids of a dialogue and, for each, whether it is learnt."""
    ids: list[int] = []
    learnt: list[bool] = []
    for text, target in render(dialogue.messages, dialogue.tools):
        piece = tokenizer.encode(text).ids
        ids.extend(piece)
        learnt.extend([target] * len(piece))
    return ids, learnt


def build(texts: Iterator[str]) -> "Tokenizer":
    """A byte-level BPE tokenizer trained on `texts`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [PAD, START, END]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2,
        special_tokens=[AddedToken(s, special=True) for s in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(CALL, normalized=False), AddedToken(CALL_END, normalized=False)])
    return tokenizer


def corpus(sizes: dict[str, int], seed: int = 0) -> Iterator[str]:
    """Training text for the tokenizer: that many dialogues of each kind."""
    from maieutic.in_box.curriculum import FULL, MARKETS
    from maieutic.in_box.dialogues import ERRANDS, ROLES, refuse
    from maieutic.in_box.families import draw

    rng = random.Random(seed)
    for kind, size in sizes.items():
        levels = list(MARKETS if kind in ERRANDS else FULL)
        for _ in range(size):
            problem = draw(rng.choice(levels), "train", rng, plain=rng.random() < 0.2)
            dialogue = refuse(rng) if kind == "refuse" else (ROLES | ERRANDS)[kind](problem, rng)
            yield "".join(text for text, _ in render(dialogue.messages, dialogue.tools))


def save(tokenizer: "Tokenizer", folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": 1024,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(template())


@cache
def template() -> str:
    """The chat template's source."""
    return (WEIGHTS / "chat_template.jinja").read_text()
