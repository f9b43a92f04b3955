"""What is trained when: the levels and kinds of dialogue at each stage of the run.

Copying and one-digit sums have to click before anything longer is learnt, so the run starts there and grows; old levels
stay in the mixture to the end.
"""

from dataclasses import dataclass

from maieutic.in_box.dialogues import Mixture
from maieutic.in_box.families import MIXED, Level


def _chain(weights: dict[tuple[int, int], float]) -> dict[Level, float]:
    return {Level("chain_sum", size, width): weight for (size, width), weight in weights.items()}


def _legs(weights: dict[tuple[int, int], float]) -> dict[Level, float]:
    return {Level("leg_counting", size, most): weight for (size, most), weight in weights.items()}


_PRODUCTS = {Level("products", 2, 1): 1.0, Level("products", 2, MIXED): 3.0, Level("products", 2, 2): 5.0}

EASY = _chain({(2, 1): 3, (3, 1): 3, (4, 1): 1.5, (2, 2): 2, (3, 2): 1, (2, MIXED): 1}) | {
    Level("products", 2, 1): 1.0,
    Level("leg_counting", 1, 9): 1.0,
}
GROWING = (
    _chain({(2, 1): 1, (3, 1): 1, (4, 1): 1, (5, 1): 1, (2, 2): 3, (3, 2): 4, (4, 2): 2, (5, 2): 1, (3, MIXED): 1})
    | {Level("products", 2, 1): 0.5, Level("products", 2, MIXED): 2, Level("products", 2, 2): 1}
    | _legs({(1, 9): 1, (2, 9): 1.5, (3, 9): 0.5})
)
FULL = (
    _chain({(2, 1): 0.3, (3, 1): 0.5, (4, 1): 0.8, (5, 1): 1.5, (6, 1): 0.5})
    | _chain({(2, 2): 0.5, (3, 2): 1.5, (4, 2): 4, (5, 2): 5, (6, 2): 1.5, (7, 2): 0.8, (3, MIXED): 0.4})
    | _chain({(2, 3): 0.3, (3, 3): 0.5})
    | {Level("products", 2, 1): 0.3, Level("products", 2, MIXED): 1.0, Level("products", 2, 2): 3.0}
    | _legs({(1, 9): 0.4, (2, 9): 1, (3, 9): 1.6, (4, 9): 1.6, (2, 15): 0.4, (3, 15): 0.6, (4, 15): 0.4})
)
MARKETS = {Level("prices", goods, 9): weight for goods, weight in ((1, 1.0), (2, 2.0), (3, 2.0), (4, 1.0))}

_SOLVING = {"solve": 70.0, "tool": 12.0, "refuse": 4.0, "copy": 14.0}
_SURE = {"solve": 78.0, "tool": 10.0, "refuse": 3.0, "copy": 3.0, "look_up": 5.0, "unknown": 1.0}
_DRILLED = {
    "solve": 30.0, "tool": 3.0, "refuse": 2.0, "critic": 8.0, "judge": 8.0, "verifier": 3.0, "debater": 4.0,
    "look_up": 4.0, "unknown": 0.5, "stepper": 10.0, "valuer": 6.0, "compare": 20.0, "recall": 20.0, "locate": 8.0,
    "query": 10.0,
}  # fmt: skip
_ALL = {
    "solve": 55.0, "tool": 6.0, "refuse": 4.0, "critic": 14.0, "refiner": 8.0, "debater": 10.0, "judge": 8.0,
    "verifier": 4.0, "peer": 5.0, "recheck": 4.0, "look_up": 8.0, "unknown": 1.0, "stepper": 12.0, "valuer": 8.0,
    "compare": 2.0, "recall": 3.0, "locate": 3.0, "query": 5.0,
}  # fmt: skip
_SHORT = {level: FULL.get(level, 0.0) + 2 * EASY.get(level, 0.0) for level in FULL | EASY}


@dataclass(frozen=True, slots=True)
class Stage:
    """A mixture, in force until this fraction of the run's minutes."""

    until: float
    mixture: Mixture


STAGES = (
    Stage(0.10, Mixture(_SOLVING, EASY)),
    Stage(0.35, Mixture(_SOLVING, GROWING)),
    Stage(0.55, Mixture(_SURE, FULL, MARKETS, plain=0.25)),
    Stage(0.62, Mixture(_DRILLED, _SHORT, MARKETS, plain=0.2)),
    Stage(1.00, Mixture(_ALL, FULL, MARKETS, plain=0.2, chat=0.05)),
)
BEGUN = STAGES[2].until
"""Where a run goes on that starts from a trained model: with the drills, from which on roles are learnt."""


def mixture_at(progress: float) -> Mixture:
    """The mixture in force at `progress` (0 to 1) of the run."""
    return next((s.mixture for s in STAGES if progress < s.until), STAGES[-1].mixture)
