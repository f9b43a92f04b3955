"""How vLLM is started: the flags and the environment that Maieutic's graphs need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType

from maieutic.errors import UserError
from maieutic.serving.checkpoint import Checkpoint
from maieutic.serving.executable import Vllm
from maieutic.serving.families import parsers_for

HOST = "127.0.0.1"
PLUGIN = Path(__file__).parent / "plugin"
PROCESSOR = "maieutic_logits"
KEY_ENV = "VLLM_API_KEY"
SPACE_ENV = "VLLM_CPU_KVCACHE_SPACE"
KEEP_ALIVE = 300  # seconds that an idle connection is kept

# The KV cache of a CPU server. vLLM's own choice is a share of the whole machine's memory.
KV_BYTES = 4 * 2**30
KV_BYTES_IN_BOX = 2**28
# Adapters that may be in one batch, and that stay in memory to be in one again.
MAX_LORAS, MAX_CPU_LORAS, LORA_RANK = 4, 16, 16

OURS = {
    "--port": "--port",
    "--served-model-name": "--name",
    "--max-model-len": "--max-model-len",
    "--enable-lora": "--adapters",
    "--lora-modules": "--lora",
}
SECRET = {"--api-key": KEY_ENV, "--hf-token": "HF_TOKEN"}


@dataclass(frozen=True, slots=True)
class Launch:
    """One server to be started. `lora_rank` is the largest rank of its adapters, None where it takes none."""

    name: str
    checkpoint: Checkpoint
    cpu: bool
    lora_rank: int | None = None
    max_model_len: int | None = None
    extra: tuple[str, ...] = ()


def check_extra(extra: tuple[str, ...]) -> None:
    """Refuse flags for vLLM that Maieutic has to set itself. Raises UserError."""
    for flag in extra:
        name = flag.partition("=")[0].replace("_", "-")
        if name in OURS:
            raise UserError(f"Give {OURS[name]} before the --: Maieutic must know of it.")
        if name in SECRET:
            raise UserError(f"Set {SECRET[name]} in the environment instead of {name}: anyone can read a command line.")


def given(line: Sequence[str], flag: str) -> str | None:
    """What a command line gives a flag, the last time where it does so several times; None where it doesn't."""
    found: str | None = None
    for argument, following in zip_longest(line, line[1:]):
        name, joined, value = argument.partition("=")
        if name.replace("_", "-") == flag:
            found = value if joined else following
    return found


def command(launch: Launch, vllm: Vllm, port: int, env: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """The command line. What the user added comes last and wins. Raises UserError where `env` asks for no size."""
    flags = ["--served-model-name", launch.name, "--host", HOST, "--port", str(port)]
    flags += ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--scheduling-policy", "priority"]
    flags += ["--disable-uvicorn-access-log"]
    tools, reasoning = parsers_for(launch.checkpoint)
    if tools is not None:
        flags += ["--enable-auto-tool-choice", "--tool-call-parser", tools, "--tool-strict-level", "parameter"]
    if reasoning is not None:
        flags += ["--reasoning-parser", reasoning]
    if launch.max_model_len is not None:
        flags += ["--max-model-len", str(launch.max_model_len)]
    if launch.lora_rank is not None:
        flags += ["--enable-lora", "--max-lora-rank", str(launch.lora_rank)]
        flags += ["--max-loras", str(MAX_LORAS), "--max-cpu-loras", str(MAX_CPU_LORAS)]
    if (class_ := processor()) is not None:
        flags += ["--logits-processors", class_]
    if launch.cpu:
        flags += _cpu_flags(launch.checkpoint, env)
    return [str(vllm.path), "serve", launch.checkpoint.source, *flags, *launch.extra]


def environment(launch: Launch, vllm: Vllm, env: Mapping[str, str]) -> dict[str, str]:
    """The server's environment, from this process's own."""
    # Without .pyc files three processes parse all of vLLM and torch anew at each start; and the size of the KV cache
    # in the environment, which the flag has already, would win over what the user added.
    made = {k: v for k, v in env.items() if k not in ("PYTHONDONTWRITEBYTECODE", SPACE_ENV)}
    made["PATH"] = f"{vllm.path.parent}:{env.get('PATH', '')}"
    made |= {"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(KEEP_ALIVE), "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_COLOR": "0"}
    made |= {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    if launch.checkpoint.local:
        made["HF_HUB_OFFLINE"] = "1"
    if launch.lora_rank is not None:
        made["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if processor() is not None:
        made["PYTHONPATH"] = f"{PLUGIN}:{env['PYTHONPATH']}" if env.get("PYTHONPATH") else str(PLUGIN)
    return made


def processor(folder: Path = PLUGIN) -> str | None:
    """The logits processor that comes with Maieutic, as vLLM is told it; None where it is not there."""
    return f"{PROCESSOR}:ReflectionPenalty" if (folder / f"{PROCESSOR}.py").exists() else None


def _cpu_flags(checkpoint: Checkpoint, env: Mapping[str, str]) -> list[str]:
    # Eager starts in half the CPU time of compiled and is as fast with several requests at once; blocks of 32 instead
    # of 128 tokens let shorter prompts share their beginning.
    flags = ["--enforce-eager", "--block-size", "32", "--max-num-seqs", "64"]
    flags += ["--kv-cache-memory-bytes", str(_kv_bytes(checkpoint, env))]
    return [*flags, "--dtype", "float32"] if checkpoint.in_box else flags


def _kv_bytes(checkpoint: Checkpoint, env: Mapping[str, str]) -> int:
    """The size of the KV cache: what vLLM's own variable says (GiB), else our choice. Raises UserError."""
    space = env.get(SPACE_ENV)
    if not space:
        return KV_BYTES_IN_BOX if checkpoint.in_box else KV_BYTES
    if not (space.isdecimal() and int(space)):
        raise UserError(f"{SPACE_ENV} is {space!r}: give a whole number of GiB, or unset it.")
    return int(space) * 2**30
