"""What a call is sampled with: the run's wishes over the agent's, and a seed of its own."""

import hashlib
from dataclasses import replace

from maieutic.types import Sampling


def merged(run: Sampling, agent: Sampling) -> Sampling:
    """What the run asks for wins over the agent's own wish."""
    said = {
        name: value
        for name in ("temperature", "top_p", "top_k", "max_tokens", "seed")
        if (value := getattr(run, name)) is not None
    }
    return replace(
        agent,
        **said,
        stop=run.stop or agent.stop,
        logprobs=agent.logprobs and run.logprobs,
        top_logprobs=max(agent.top_logprobs, run.top_logprobs),
        extra={**agent.extra, **run.extra},
    )


def derived_seed(seed: int, branch: str, turn: int) -> int:
    """A 31-bit seed that depends on the run, the branch and the turn, and not on what else is under way."""
    digest = hashlib.blake2b(f"{seed}/{branch}/{turn}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
