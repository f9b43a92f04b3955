"""Confidence: how sure a model is of an answer, asked in words, read from its probabilities, or counted in votes.

Verbal confidence as in Thinking Out Loud (2025, arXiv 2504.06564), P(True) after Kadavath et al. 2022, "Language Models
(Mostly) Know What They Know", arXiv 2207.05221, agreement as in self-consistency (Wang et al. 2023, arXiv 2203.11171),
the least and the mean log-probability of the answer's own tokens as in Gupta et al. 2024, "Language Model Cascades",
arXiv 2404.10136. Every one of them is recorded, also one that can't be read, which is missing and no number.

Deviation: P(True) is asked for without the paper's 20 worked examples.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import mean
from typing import Literal

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.calibration.calibrator import Calibrator, Method
from maieutic.context import Context
from maieutic.tasks.abstention import abstains
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

Likelihood = Literal["min_logprob", "mean_logprob"]
FORM = "Confidence: <a number from 0 to 100>"
_LINE = re.compile(r"confidence[ \t*_]{0,4}(?:is|[:=])[ \t*_]{0,4}(.*)", re.IGNORECASE)
_NUMBER = re.compile(r"(-?\d{1,6}(?:\.\d{1,9})?)\s*(%|/\s*(10|100)\b(?!\.\d))?")
_TRUE, _FALSE = "A", "B"
_METHODS: dict[bool, Method] = {False: "p_true", True: "cot_p_true"}


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a model is of the answer that the call `of` ended in.

    `raw` is as it was given, `calibrated` how often the model is right when it is that sure; both are shares in [0, 1],
    None where they are missing. `value` is what to go by: None too where the model's confidences say nothing.
    """

    of: str
    method: Method
    raw: float | None
    calibrated: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Stated:
    """A confidence that was read from words; None where the model says that it can't tell."""

    value: float | None


@dataclass(frozen=True, slots=True)
class VerbalRater:
    """Asks a model how likely its solution is to be right. Give the role the model that solved: it is asked of its
    own work. The `ideas`, others' solutions, it doesn't see."""

    role: str = "rater"
    sampling: Sampling = Sampling()
    speaker: str = ""
    """Who speaks by the role's prompt, where the role itself doesn't."""
    stage: str = ""

    async def __call__(
        self,
        ctx: Context,
        solution: Solution,
        calibrator: Calibrator | None = None,
        ideas: Sequence[Solution] = (),
    ) -> Confidence:
        shown, speaker = without_thoughts(solution.text).strip(), self.speaker or self.role
        messages = opening(ctx, self.role, speaker=speaker, solution=shown)
        parents = (Parent(solution.call_id, "critique"),)
        reply = await ask(ctx, speaker, messages, read_confidence, FORM, sampling=self.sampling, parents=parents)
        raw, read = reply.value.value if reply.value else None, reply.value is not None
        return state(ctx, speaker, solution, "verbal", raw, calibrator, stage=self.stage, read=read)


@dataclass(frozen=True, slots=True)
class TruthRater:
    """P(True): how probable the model finds it that the solution is right, by the first token of its verdict. It sees
    the `ideas`, other answers to the same question, which make it judge better. None without log-probabilities."""

    role: str = "truth-rater"
    sampling: Sampling = Sampling()
    speaker: str = ""
    """Who speaks by the role's prompt, where the role itself doesn't."""
    stage: str = ""
    after_work: bool = False
    """Whether it works before it judges: then the last letter of its reply counts, and the `ideas` are not shown."""

    async def __call__(
        self,
        ctx: Context,
        solution: Solution,
        calibrator: Calibrator | None = None,
        ideas: Sequence[Solution] = (),
    ) -> Confidence:
        ideas = () if self.after_work else ideas
        answers = [idea.answer for idea in ideas if idea.answer is not None and not abstains(idea.answer)]
        speaker = self.speaker or self.role
        messages = opening(
            ctx,
            self.role,
            speaker=speaker,
            ideas="\n".join(answers) or "none",
            solution=without_thoughts(solution.text).strip(),
        )
        parents = (Parent(solution.call_id, "critique"), *(Parent(i.call_id, "peer") for i in ideas if i != solution))
        found = await ctx.ask_options(
            speaker, messages, (_TRUE, _FALSE), sampling=self.sampling, parents=parents, after_work=self.after_work
        )
        raw, method = None if found is None else found[_TRUE], _METHODS[self.after_work]
        return state(ctx, speaker, solution, method, raw, calibrator, stage=self.stage)


def verifier(sampling: Sampling = Sampling()) -> TruthRater:
    """P(True) after own work, by the letter that a verification ends in; it doesn't see the `ideas`.

    A generative verifier with chain of thought (Zhang et al. 2024, "Generative Verifiers: Reward Modeling as Next-Token
    Prediction", arXiv 2408.15240), which there is asked several times and here once.
    """
    return TruthRater("verifier", sampling, after_work=True)


@dataclass(frozen=True, slots=True)
class LikelihoodRater:
    """How probable the model that solved found the tokens that it wrote: the least probable one, or all of them in the
    geometric mean. It asks nobody anything. None where the log-probabilities are not known.

    They are to be the model's own, whatever it was sampled with, as those of `maieutic.llm.confidence`.
    """

    method: Likelihood
    speaker: str = "solver"
    """Who solved: the curve of its model is the one that counts."""
    stage: str = ""

    async def __call__(
        self,
        ctx: Context,
        solution: Solution,
        calibrator: Calibrator | None = None,
        ideas: Sequence[Solution] = (),
    ) -> Confidence:
        raw = likelihood(self.method, solution.logprobs or ())
        return state(ctx, self.speaker, solution, self.method, raw, calibrator, stage=self.stage)


def likelihood(method: Likelihood, logprobs: Sequence[float]) -> float | None:
    """The least or the geometric mean probability of tokens, in [0, 1]; None where there are none."""
    if not logprobs:
        return None
    found = min(logprobs) if method == "min_logprob" else mean(logprobs)
    return exp(min(found, 0.0))  # a server may round a certain token's above 0


def min_logprob(sampling: Sampling = Sampling()) -> LikelihoodRater:
    """The rater by the least probable token; there is nothing to sample."""
    return LikelihoodRater("min_logprob")


def mean_logprob(sampling: Sampling = Sampling()) -> LikelihoodRater:
    """The rater by the geometric mean over the tokens."""
    return LikelihoodRater("mean_logprob")


def agreement(
    ctx: Context,
    role: str,
    winner: Solution,
    share: float,
    calibrator: Calibrator | None = None,
    model: str | None = None,
    stage: str = "",
) -> Confidence:
    """The share of the votes as the confidence in the answer that has won them; `role` is who gave the votes, `model`
    the name of those that did where they are several."""
    return state(ctx, role, winner, "agreement", share, calibrator, model, stage)


def state(
    ctx: Context,
    role: str,
    solution: Solution,
    method: Method,
    raw: float | None,
    calibrator: Calibrator | None = None,
    model: str | None = None,
    stage: str = "",
    **more: object,
) -> Confidence:
    """Calibrate a confidence, record it, and show it. `role` is who is sure: its model's curve is the one that counts.
    `stage` is the way of answering, where a graph has several.

    Without a curve for this model and method the raw number stands.
    """
    model = model or ctx.model_for(role).model.name
    curve = calibrator.curve(model, method, stage) if calibrator else None
    if stage:
        more["stage"] = stage
    calibrated = curve(raw) if curve is not None and raw is not None else None
    value = calibrated if curve is not None else raw
    fields = {"of": solution.call_id, "method": method, "raw": raw, "calibrated": calibrated}
    ctx.record("confidence", **fields, model=model, answer=solution.answer, **more)
    ctx.emit("confidence", role=role, **fields)
    return Confidence(solution.call_id, method, raw, calibrated, value)


def read_confidence(text: str) -> Stated | None:
    """The last confidence stated in `text`, of 0 to 100; None where there is none that can be read.

    85, 85 % and 85/100 are 0.85, as is 0.85 with a point: what is meant by a number between 0 and 1 is a share. What
    lies outside of 0 to 100 is no confidence. "I don't know" is one that was read, and is missing.
    """
    lines = _LINE.findall(without_thoughts(text))
    said = lines[-1].strip() if lines else text.strip()
    if abstains(said):
        return Stated(None)
    number = _NUMBER.match(said) if lines else None
    if number is None:
        return None
    value, unit, of = float(number[1]), number[2], number[3]
    share = "." in number[1] and 0 <= value <= 1 and not unit
    scaled = value if share else value / float(of or 100)
    return Stated(scaled) if 0 <= scaled <= 1 else None
