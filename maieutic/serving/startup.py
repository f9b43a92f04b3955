"""What a starting server is doing, and why one didn't start, read from its log."""

import re
from pathlib import Path

TAIL_BYTES = 65536
SHOWN_LINES = 15

# Each begins with the first line that matches; the latest one counts.
PHASES = (
    ("reading the model's configuration", re.compile(r"non-default args|Resolved architecture")),
    ("starting the engine", re.compile(r"Initializing a V1 LLM engine")),
    ("downloading weights", re.compile(r"Time spent downloading|Downloading|Fetching \d+ files")),
    ("loading weights", re.compile(r"Starting to load model|Loading safetensors")),
    ("warming up", re.compile(r"Loading weights took|Model loading took|KV cache size|Capturing CUDA graph")),
    ("opening the port", re.compile(r"Starting vLLM server on|Application startup complete")),
)
FIRST_PHASE = "importing"

# (what the log says, what to do about it); groups of the first fill the second.
CAUSES = (
    (
        r"[Aa]ddress already in use",
        "another program listens on the port: give another --port, or none and a free one is chosen",
    ),
    (
        r"unrecognized arguments: (.+)",
        "this vLLM knows no flag {0}: see `vllm serve --help=all`",
    ),
    (r"vllm serve: error: (.+)", "vLLM does not take its flags ({0}): see `vllm serve --help=all`"),
    (
        r"max_model_len \(?(\d+)\)? is greater than the derived max_model_len \([^=]*=(\d+)",
        "the model's context is {1} tokens, shorter than {0}: give --max-model-len {1} or less",
    ),
    (
        r"estimated maximum model length is (\d+)",
        "the KV cache holds no context of that length: give --max-model-len {0} or less",
    ),
    (
        r"No available memory for the cache blocks|larger than the available KV cache memory",
        "no memory is left for the KV cache: give a smaller --max-model-len, or a smaller model",
    ),
    (
        r"Free memory on device .* is less than desired GPU memory utilization",
        "another program uses the GPU's memory: end it, or add `-- --gpu-memory-utilization 0.5`",
    ),
    (
        r"out of memory|OutOfMemoryError|can't allocate memory|Cannot allocate memory|bad_alloc|MemoryError"
        r"|[Nn]ot enough available memory|Available memory .* is less than requested memory",
        "it ran out of memory: give a smaller --max-model-len, a smaller model, or on a CPU a smaller KV cache"
        " (`-- --kv-cache-memory-bytes N`)",
    ),
    (
        r"GatedRepoError|gated repo|Access to model .* is restricted",
        "the hub gives the model only to those who asked for it: accept its licence there and set HF_TOKEN",
    ),
    (
        r"RepositoryNotFoundError|Repository Not Found|is not a valid model identifier|401 Client Error",
        "the Hugging Face hub has no such model: check its name, or set HF_TOKEN for a private one",
    ),
    (
        r"LocalEntryNotFoundError|OfflineModeIsEnabled|couldn't connect to|Max retries exceeded|NameResolutionError"
        r"|[Nn]ame or service not known|Temporary failure in name resolution|Network is unreachable",
        "the Hugging Face hub can't be reached: connect to it, or give the folder of a checkpoint",
    ),
    (
        r"Model architectures? (.+?) (?:are|is) not supported",
        "this vLLM does not know the architecture {0}: a newer one may",
    ),
    (r"Failed to infer device type", "it found no device to run on: add --cpu, or install the CPU build"),
    (r"No space left on device", "the disk is full: make room, or set HF_HOME to a folder on another disk"),
)
_ERROR = re.compile(r"^(?:\([^)]*\) )?(?:ERROR [\d: -]+\[[^\]]*\] )?([\w.]*(?:Error|Exception): .+)$", re.MULTILINE)
_FRAME = re.compile(  # of a traceback, perhaps behind vLLM's own prefixes
    r"(?:\([^)]*\) ?+)?+(?:(?:ERROR|CRITICAL) [\d: -]+\[[^\]]*\] ?+)?+"
    r"(?:\s|$|Traceback \(|During handling of the above|The above exception was)"
)
_NO_CAUSE = "Engine core initialization failed"


def phase(log: str) -> str:
    """What the server is doing, as far as its log says."""
    reached = [(found.start(), number) for number, (_, mark) in enumerate(PHASES) if (found := mark.search(log))]
    return PHASES[max(number for _, number in reached)][0] if reached else FIRST_PHASE


def cause(log: str, code: int | None) -> str:
    """Why a server ended, in words that end a sentence."""
    for pattern, words in CAUSES:
        if found := re.search(pattern, log):
            return words.format(*(group.strip("[]'\" .") for group in found.groups()))
    if code == -9:
        return "it was killed, most likely because the machine ran out of memory: give a smaller model or KV cache"
    said = [line.strip() for line in _ERROR.findall(log) if _NO_CAUSE not in line]
    if said:
        return f"it said {said[0].rstrip('.')!r}"
    return f"it ended with code {code}" if code is not None else "it ended"


def tail(path: Path, size: int = TAIL_BYTES, end: int | None = None) -> str:
    """The last `size` bytes of a log (up to `end`) from the beginning of a line; empty where there is no log."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, 2) if end is None else end
            file.seek(max(0, length - size))
            data = file.read(length - file.tell())
    except OSError:
        return ""
    text = data.decode(errors="replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.partition("\n")[2] if length > size else text


def last_lines(log: str, count: int = SHOWN_LINES) -> list[str]:
    """The last lines that say something."""
    return [line for line in log.splitlines() if line.strip()][-count:]


def telling_lines(log: str) -> list[str]:
    """The last lines that say something, the frames of tracebacks left out."""
    return last_lines("\n".join(line for line in log.splitlines() if not _FRAME.match(line)))
