"""A calibrator: for each model and way of asking, how often it was right when it was this sure."""

import json
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maieutic.errors import ConfigError, UserError
from maieutic.serving.files import write_whole

Method = Literal["verbal", "p_true", "cot_p_true", "agreement", "min_logprob", "mean_logprob"]
"""How a confidence was had: asked in words, read from the probability of "true" (at once, or after own work), the share
of votes, or the least or the mean log-probability of the answer's own tokens, as a probability."""
_ADVICE = "make it with maieutic calibrate"


class Curve(BaseModel):
    """A line through knots, from a raw confidence to a share of right answers, both in [0, 1]; flat beyond its ends.

    Without knots the confidences that it was to be learnt from were all (nearly) the same: they say nothing, and nor
    does the curve. `n` answers were learnt from, `right` of them right. `stage` is the way of answering that it is of,
    where a graph has several; "" is any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    method: Method
    fit: Literal["isotonic", "platt", "constant"]
    raw: tuple[float, ...]
    share: tuple[float, ...]
    n: int = Field(ge=1)
    right: int = Field(ge=0)
    stage: str = ""

    @model_validator(mode="after")
    def _a_rising_line(self) -> Self:
        inside = all(0 <= value <= 1 for value in (*self.raw, *self.share))
        if len(self.raw) != len(self.share) or not inside or not (_rising(self.raw) and _rising(self.share)):
            raise ValueError("its knots are no rising line within 0 and 1")
        return self

    def __call__(self, raw: float) -> float | None:
        """How often it is right when it is this sure; None where its confidences say nothing."""
        if not self.raw:
            return None
        right = bisect_left(self.raw, raw)
        if right in (0, len(self.raw)):
            return self.share[min(right, len(self.raw) - 1)]
        (x0, x1), (y0, y1) = self.raw[right - 1 : right + 1], self.share[right - 1 : right + 1]
        return round(y0 + (y1 - y0) * (raw - x0) / (x1 - x0), 6)


class Calibrator(BaseModel):
    """Curves of several models and methods; `made` says from what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    curves: tuple[Curve, ...]
    made: dict[str, Any] = {}

    def curve(self, model: str, method: Method, stage: str = "") -> Curve | None:
        """The curve of this model's confidences, that of the `stage` before one of any; None where it has none."""
        found = [curve for curve in self.curves if (curve.model, curve.method) == (model, method)]
        return next((curve for name in (stage, "") for curve in found if curve.stage == name), None)

    @classmethod
    def load(cls, path: str | Path) -> "Calibrator":
        """Raises ConfigError where the file is no calibrator."""
        path = Path(path).expanduser()
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"The calibration {path} can't be read ({error.strerror}): {_ADVICE}.") from error
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise ConfigError(f"{path} is no calibration of this version ({said}): {_ADVICE}.") from error

    def save(self, path: str | Path) -> None:
        """Raises UserError where the file can't be written."""
        path = Path(path).expanduser()
        if not path.parent.is_dir():
            raise UserError(f"{path} can't be written to (there is no such directory): give another file.")
        try:
            write_whole(path, json.dumps(self.model_dump(), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"{path} can't be written to ({error.strerror}): give another file.") from error


def _rising(values: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(values, values[1:], strict=False))
