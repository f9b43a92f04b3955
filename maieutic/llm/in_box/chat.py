"""Between messages and tokens: the in-box model's chat template, and its tool calls read back from text."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.types import Message, ToolCall, ToolSpec

if TYPE_CHECKING:
    from jinja2 import Template
    from tokenizers import Tokenizer

END = "<|im_end|>"
CALL = "<tool_call>"
_CALLS = re.compile(r"<tool_call>\n?(.*?)\n?</tool_call>", re.DOTALL)


@dataclass
class Chat:
    """The template and tokenizer of one model folder."""

    folder: Path

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    @cached_property
    def end(self) -> int:
        """The token id that ends a message."""
        found = self.tokenizer.token_to_id(END)
        if found is None:
            raise ValueError(f"{self.folder / 'tokenizer.json'} has no {END}")
        return int(found)

    @cached_property
    def call_start(self) -> int:
        """The token id that opens a tool call."""
        found = self.tokenizer.token_to_id(CALL)
        if found is None:
            raise ValueError(f"{self.folder / 'tokenizer.json'} has no {CALL}")
        return int(found)

    @cached_property
    def template_hash(self) -> str:
        return _digest(self.folder / "chat_template.jinja")

    @cached_property
    def weights_hash(self) -> str:
        return _digest(self.folder / "model.onnx")

    @cached_property
    def _template(self) -> "Template":
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
        return environment.from_string((self.folder / "chat_template.jinja").read_text(encoding="utf-8"))

    def prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), continue_final: bool = False) -> str:
        """The text that the model goes on from: a new assistant message, or the last message left open."""
        named = [{"type": "function", "function": {"name": tool.name}} for tool in tools]
        text = self._template.render(messages=list(messages), tools=named, add_generation_prompt=not continue_final)
        return text.removesuffix(f"{END}\n") if continue_final else text

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def decode(self, ids: Sequence[int], special: bool = False) -> str:
        """The text of token ids, without special tokens unless they are asked for."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=not special)

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """The text of each token by itself."""
        return tuple(self.decode([i], special=True) for i in range(self.tokenizer.get_vocab_size()))


def read_calls(text: str, prefix: str) -> tuple[str, tuple[ToolCall, ...]]:
    """(what is said, the calls); a call whose JSON can't be read stays part of what is said.

    Ids are `prefix` and the call's number.
    """
    calls: list[ToolCall] = []

    def take(match: re.Match[str]) -> str:
        call = _read(match.group(1), f"{prefix}-{len(calls)}")
        if call is None:
            return match.group(0)
        calls.append(call)
        return ""

    said = _CALLS.sub(take, text)
    return (said.strip() if calls else said), tuple(calls)


def _read(body: str, call_id: str) -> ToolCall | None:
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("name"), str):
        return None
    return ToolCall(call_id, parsed["name"], json.dumps(parsed.get("arguments", {}), ensure_ascii=False))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
