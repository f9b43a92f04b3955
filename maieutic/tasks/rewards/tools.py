"""Rewards for acting: tool calls that went well, states and calls as they should be (ARTIST, Singh et al. 2025)."""

from collections import Counter

from maieutic.tasks.rewards.parts import Scored, part


@part("tool_success")
def tool_success(scored: Scored) -> float | None:
    """Successful tool calls of all tool calls; `facts["tool_statuses"]` has a status for each. None without calls."""
    statuses = scored.facts.get("tool_statuses") or ()
    return float(sum(status == "ok" for status in statuses) / len(statuses)) if statuses else None


@part("state_match")
def state_match(scored: Scored, *, most: float = 0.5) -> float | None:
    """The share of the wanted state's variables that have their value at the end, scaled to `most`."""
    wanted, reached = scored.facts.get("wanted_state"), scored.facts.get("reached_state")
    if not wanted or reached is None:
        return None
    met = sum(name in reached and reached[name] == value for name, value in wanted.items())
    return float(most * met / len(wanted))


@part("call_match")
def call_match(scored: Scored, *, most: float = 0.5) -> float | None:
    """The share of the wanted calls that were made, each counted as often as it is wanted, scaled to `most`."""
    wanted, made = scored.facts.get("wanted_calls"), scored.facts.get("made_calls")
    if not wanted or made is None:
        return None
    matched = Counter(map(repr, wanted)) & Counter(map(repr, made))
    return float(most * matched.total() / len(wanted))
