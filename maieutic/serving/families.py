"""Which of vLLM's parsers reads a model family's tool calls and thoughts.

By the model's name first, since names say more than architectures do (a distilled R1 is a Qwen or a Llama by its
architecture); then, for a checkpoint in a folder of any name, by the marks in its chat template. A family that is not
known gets no parser: its text then arrives as the model wrote it.
"""

import re
from typing import NamedTuple

from maieutic.serving.checkpoint import Checkpoint


class Parsers(NamedTuple):
    """The names that `vllm serve` takes as --tool-call-parser and --reasoning-parser."""

    tools: str | None = None
    reasoning: str | None = None


# The first line that matches counts. A model that never thinks must have no reasoning parser: without an end of its
# thought, everything it says would be taken for one.
BY_NAME: tuple[tuple[str, Parsers], ...] = (
    (r"qwen3-coder", Parsers("qwen3_coder")),
    (r"qwen3\.[5-9]", Parsers("qwen3_coder", "qwen3")),
    (r"qwen3.*instruct", Parsers("hermes")),
    (r"qwen3", Parsers("hermes", "qwen3")),
    (r"qwq", Parsers("hermes", "deepseek_r1")),
    (r"deepseek-r1-(distill|0528-qwen)", Parsers(None, "deepseek_r1")),
    (r"deepseek-r1", Parsers("deepseek_v3", "deepseek_r1")),
    (r"deepseek-v3\.2", Parsers("deepseek_v32", "deepseek_v3")),
    (r"deepseek-v3\.1", Parsers("deepseek_v31", "deepseek_v3")),
    (r"deepseek-v3", Parsers("deepseek_v3")),
    (r"gpt-oss", Parsers("openai", "openai_gptoss")),
    (r"qwen2|hermes", Parsers("hermes")),
    (r"llama-?4", Parsers("llama4_pythonic")),
    (r"llama-?3", Parsers("llama3_json")),
    (r"magistral", Parsers("mistral", "mistral")),
    (r"mistral|mixtral|ministral|devstral", Parsers("mistral")),
    (r"glm-4\.7", Parsers("glm47", "glm47")),
    (r"glm-4\.[56]", Parsers("glm45", "glm45")),
    (r"granite-4", Parsers("granite4")),
    (r"granite-3", Parsers("granite", "granite")),
    (r"gemma-4", Parsers("gemma4", "gemma4")),
    (r"kimi-k2-thinking", Parsers("kimi_k2", "kimi_k2")),
    (r"kimi-k2", Parsers("kimi_k2")),
    (r"minimax-m2", Parsers("minimax_m2", "minimax_m2")),
    (r"olmo-?3.*think", Parsers("olmo3", "olmo3")),
    (r"olmo-?3", Parsers("olmo3")),
    (r"phi-4-mini", Parsers("phi4_mini_json")),
    (r"seed-oss", Parsers("seed_oss", "seed_oss")),
)
TOOL_MARKS = (
    ("<function=", "qwen3_coder"),
    ("<tool_call>", "hermes"),
    ("[TOOL_CALLS]", "mistral"),
    ("<|python_tag|>", "llama3_json"),
)
THINKING_MARK = ("enable_thinking", "qwen3")


def parsers_for(checkpoint: Checkpoint) -> Parsers:
    """The parsers of this checkpoint's family."""
    name = checkpoint.wanted.rstrip("/").rpartition("/")[2].lower()
    for pattern, parsers in BY_NAME:
        if re.search(pattern, name):
            return parsers
    template = checkpoint.template_text() or ""
    tools = next((parser for mark, parser in TOOL_MARKS if mark in template), None)
    return Parsers(tools, THINKING_MARK[1] if THINKING_MARK[0] in template else None)
