"""What a request may ask of `ReflectionPenalty`, and what is added to its logits when: plain Python, no vLLM.

A request switches it on with `vllm_xargs`. Positions count the output tokens of the call, the first one is 0.

| field | is |
|---|---|
| `reflection_mode` | `cyclic` (CyclicReflex) or `tip` (thought switching penalty) |
| `reflection_tokens` | the token ids whose logits are changed |
| `reflection_end` | the token ids that end the thinking; without it the server's `</think>`, empty: there is no end |
| `reflection_start` | the position of the call's first token, where a call goes on with an earlier one; 0 |
| `reflection_until` | the position from which nothing is changed any more; without it there is none |
| `reflection_amplitude`, `reflection_period`, `reflection_shift` | of the triangle; shift 0 |
| `reflection_penalty`, `reflection_window` | what TIP takes away, and for how many tokens of each thought; 0: all |
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

PREFIX = "reflection_"
SHARED = {"mode", "tokens", "end", "start", "until"}
OWN = {"cyclic": {"amplitude", "period", "shift"}, "tip": {"penalty", "window"}}
MOST_TOKENS = 4096


def cyclic(position: float, amplitude: float, period: float, shift: float = 0.0) -> float:
    """The triangle at a position: 0 at 0, `amplitude` after a quarter period, minus that after three, 0 after one."""
    phase = ((position + shift) / period - 0.25) % 1.0
    return amplitude * (abs(4.0 * phase - 2.0) - 1.0)


@dataclass(frozen=True)
class Setting:
    """What one request asked for, checked. `end` is None where the server's own token ends the thinking."""

    mode: Literal["cyclic", "tip"]
    tokens: tuple[int, ...]
    end: tuple[int, ...] | None = None
    start: int = 0
    until: int | None = None
    amplitude: float = 0.0
    period: float = 1.0
    shift: float = 0.0
    penalty: float = 0.0
    window: int = 0

    def delta(self, position: int, thought: int) -> float:
        """What is added at this position, in a thought that began at position `thought`."""
        if self.mode == "cyclic":
            return cyclic(position, self.amplitude, self.period, self.shift)
        return -self.penalty if not self.window or position < thought + self.window else 0.0


def read(extra: Mapping[str, Any] | None) -> Setting | None:
    """The setting in a request's `vllm_xargs`; None where it is not switched on. Raises ValueError, in a sentence."""
    given = {name[len(PREFIX) :]: value for name, value in (extra or {}).items() if name.startswith(PREFIX)}
    if not given:
        return None
    mode = given.get("mode")
    if mode not in OWN:
        raise ValueError(f"{PREFIX}mode must be cyclic or tip, not {mode!r}.")
    if unknown := sorted(given.keys() - SHARED - OWN[mode]):
        known = ", ".join(PREFIX + name for name in sorted(SHARED | OWN[mode]))
        raise ValueError(f"The mode {mode} does not know {PREFIX}{unknown[0]}; it knows {known}.")
    shared: dict[str, Any] = {
        "tokens": _ids(given, "tokens"),
        "end": _ids(given, "end", empty=True) if "end" in given else None,
        "start": _whole(given, "start", 0),
        "until": _whole(given, "until", None),
    }
    if mode == "tip":
        penalty, window = _number(given, "penalty"), _whole(given, "window", 0)
        return Setting("tip", **shared, penalty=penalty, window=window or 0)
    period = _number(given, "period")
    if period <= 0:
        raise ValueError(f"{PREFIX}period must be above 0, not {period:g}.")
    shift = _number(given, "shift", 0.0)
    return Setting("cyclic", **shared, amplitude=_number(given, "amplitude"), period=period, shift=shift)


@dataclass
class Progress:
    """One request under way: its setting and its output, a list that the server goes on appending to."""

    setting: Setting
    output: Sequence[int]
    end: tuple[int, ...]
    thought: int = field(init=False)
    _looked: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.thought = self.setting.start

    def delta(self) -> float | None:
        """What is added to the logits of the next token; None once nothing ever will be."""
        position = self.setting.start + len(self.output)
        if self._ended() or (self.setting.until is not None and position >= self.setting.until):
            return None
        return self.setting.delta(position, self.thought)

    def _ended(self) -> bool:
        """Look at the tokens that are new: do they end the thinking, does one of them begin another thought?"""
        size = len(self.end)
        while self._looked < len(self.output):
            token = self.output[self._looked]
            if token < 0:  # not known yet
                return False
            self._looked += 1
            if size and token == self.end[-1] and tuple(self.output[self._looked - size : self._looked]) == self.end:
                self._looked -= 1  # once ended, always ended
                return True
            if token in self.setting.tokens:
                self.thought = self.setting.start + self._looked - 1
        return False


def _number(given: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{PREFIX}{name} must be a number, not {value!r}.")
    return float(value)


def _whole(given: Mapping[str, Any], name: str, default: int | None) -> int | None:
    value = given.get(name, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < 0:
        raise ValueError(f"{PREFIX}{name} must be a whole number from 0 on, not {value!r}.")
    return int(value)


def _ids(given: Mapping[str, Any], name: str, empty: bool = False) -> tuple[int, ...]:
    value = given.get(name, [])
    value = [value] if isinstance(value, int) else value
    whole = isinstance(value, list | tuple) and all(type(i) is int and i >= 0 for i in value)
    if not whole or len(value) > MOST_TOKENS or not (value or empty):
        raise ValueError(f"{PREFIX}{name} must be a list of token ids, such as [13, 1059].")
    return tuple(value)
