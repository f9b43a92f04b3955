"""Tokenizer and template: the training renderer and the shipped template say the same, and history is kept exactly."""

import random

import pytest

from maieutic.in_box import tokenizer as tokenizing
from maieutic.in_box.curriculum import STAGES
from maieutic.in_box.dialogue import Dialogue
from maieutic.in_box.dialogues import sample
from maieutic.llm.in_box.chat import Chat
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.types import ToolSpec

pytest.importorskip("reasoning_gym")


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat(WEIGHTS)


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    rng = random.Random(1)
    return [sample(stage.mixture, rng) for stage in STAGES for _ in range(80)]


def _tools(dialogue: Dialogue) -> tuple[ToolSpec, ...]:
    return tuple(ToolSpec(name, "", {}) for name in dialogue.tools)


def test_training_and_template_render_alike(chat: Chat, dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        trained = "".join(text for text, _ in tokenizing.render(dialogue.messages, dialogue.tools))
        served = chat.prompt(dialogue.messages, _tools(dialogue)).removesuffix("<|im_start|>assistant\n")  # type: ignore[arg-type]
        assert trained == served


def test_a_longer_conversation_extends_the_shorter_one_token_by_token(chat: Chat, dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        for k, message in enumerate(dialogue.messages):
            if message["role"] != "assistant" or "pieces" in message:  # pieces are not said in one go
                continue
            prompt = chat.encode(chat.prompt(dialogue.messages[:k], _tools(dialogue)))  # type: ignore[arg-type]
            turn = "".join(t for t, learnt in tokenizing.render([message], []) if learnt)
            later = chat.encode(chat.prompt(dialogue.messages[: k + 1], _tools(dialogue)))  # type: ignore[arg-type]
            sampled = chat.encode(turn)
            assert sampled[-1] == chat.end
            assert later[: len(prompt) + len(sampled)] == prompt + sampled


def test_training_tokens_are_the_tokens_of_the_whole_text(chat: Chat, dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        ids, learnt = tokenizing.encode(dialogue, chat.tokenizer)
        text = "".join(text for text, _ in tokenizing.render(dialogue.messages, dialogue.tools))
        assert ids == chat.encode(text)
        assert any(learnt) and not all(learnt)


def test_digits_are_single_tokens_and_operators_carry_their_spaces(chat: Chat) -> None:
    pieces = [chat.tokenizer.decode([i]) for i in chat.encode("41 - 3 = -38")]
    assert pieces == ["4", "1", " - ", "3", " = ", "-", "3", "8"]


def test_a_question_that_ends_in_a_line_break_is_quoted_like_one_that_does_not(chat: Chat) -> None:
    quoted = [chat.prompt([{"role": "user", "content": f"{q}\n\nSolution:\n1"}]) for q in ("So?", "So?\n")]
    assert quoted[0] == quoted[1]


def test_any_text_survives(chat: Chat) -> None:
    text = "naïve – 日本語\t🙂 x=1;  two  spaces"
    assert chat.decode(chat.encode(text)) == text


def test_transformers_renders_the_same(chat: Chat, dialogues: list[Dialogue]) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(WEIGHTS)
    for dialogue in dialogues[::10]:
        tools = [{"type": "function", "function": {"name": name}} for name in dialogue.tools]
        theirs = tokenizer.apply_chat_template(
            dialogue.messages, tools=tools, add_generation_prompt=True, return_dict=False
        )
        assert theirs == chat.encode(chat.prompt(dialogue.messages, _tools(dialogue)))  # type: ignore[arg-type]
