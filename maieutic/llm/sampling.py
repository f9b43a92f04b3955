"""What a call is sampled with: the run's wishes over the agent's, and a seed of its own."""

import hashlib

from maieutic.types import Sampling


def merged(run: Sampling, agent: Sampling) -> Sampling:
    """What the run asks for wins over the agent's own wish."""
    return Sampling(
        temperature=agent.temperature if run.temperature is None else run.temperature,
        top_p=agent.top_p if run.top_p is None else run.top_p,
        top_k=agent.top_k if run.top_k is None else run.top_k,
        max_tokens=agent.max_tokens if run.max_tokens is None else run.max_tokens,
        seed=agent.seed if run.seed is None else run.seed,
        stop=run.stop or agent.stop,
        logprobs=agent.logprobs and run.logprobs,
        top_logprobs=max(agent.top_logprobs, run.top_logprobs),
        extra={**agent.extra, **run.extra},
    )


def derived_seed(seed: int, branch: str, turn: int) -> int:
    """A 31-bit seed that depends on the run, the branch and the turn, and not on what else is under way."""
    digest = hashlib.blake2b(f"{seed}/{branch}/{turn}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
