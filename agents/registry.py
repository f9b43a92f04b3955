"""Agents by name, so that a graph's settings can put an own agent into a role.

maieutic.load_graph("critique", {"critic": "my_package:CalculatorCritic"})
"""

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from maieutic.errors import UnknownName, UserError
from maieutic.types import Sampling

SHIPPED = {
    "answerer": "maieutic.agents.answerer:Answerer",
    "bias-detector": "maieutic.agents.bias_detector:BiasDetector",
    "coder": "maieutic.agents.coder:Coder",
    "contraster": "maieutic.agents.contrast:Contraster",
    "controller": "maieutic.agents.controller:Controller",
    "calculator-critic": "maieutic.agents.calculator_critic:CalculatorCritic",
    "calculator-valuer": "maieutic.agents.calculator_valuer:CalculatorValuer",
    "critic": "maieutic.agents.critic:Critic",
    "debater": "maieutic.agents.debater:Debater",
    "decomposer": "maieutic.agents.analyst:Decomposer",
    "deconstructor": "maieutic.agents.deconstructor:Deconstructor",
    "entity-judge": "maieutic.agents.entity_judge:EntityJudge",
    "discussant": "maieutic.agents.panelist:Discussant",
    "executor": "maieutic.agents.guided:executor",
    "guesser": "maieutic.agents.guesser:Guesser",
    "judge": "maieutic.agents.judge:Judge",
    "learner": "maieutic.agents.guided:learner",
    "line-stepper": "maieutic.agents.line_stepper:LineStepper",
    "logician": "maieutic.agents.logician:Logician",
    "long-thinker": "maieutic.agents.long_thinker:LongThinker",
    "mean-logprob": "maieutic.agents.confidence:mean_logprob",
    "min-logprob": "maieutic.agents.confidence:min_logprob",
    "opponent": "maieutic.agents.valuer:opponent",
    "panelist": "maieutic.agents.panelist:Panelist",
    "passage-grader": "maieutic.agents.passage_grader:PassageGrader",
    "peer": "maieutic.agents.peer:Peer",
    "programmer": "maieutic.agents.programmer:Programmer",
    "query-writer": "maieutic.agents.query_writer:QueryWriter",
    "rater": "maieutic.agents.confidence:VerbalRater",
    "reader": "maieutic.agents.reader:Reader",
    "refiner": "maieutic.agents.refiner:Refiner",
    "reflector": "maieutic.agents.reflector:Reflector",
    "rephraser": "maieutic.agents.analyst:Rephraser",
    "reranker": "maieutic.agents.reranker:ListwiseReranker",
    "researcher": "maieutic.agents.researcher:Researcher",
    "responder": "maieutic.agents.responder:Responder",
    "retrier": "maieutic.agents.retrier:Retrier",
    "retrieval-gate": "maieutic.agents.retrieval_gate:RetrievalGate",
    "reviser": "maieutic.agents.reviser:Reviser",
    "rewriter": "maieutic.agents.rewriter:Rewriter",
    "segment-writer": "maieutic.agents.segment_writer:SegmentWriter",
    "selector": "maieutic.agents.selector:Selector",
    "setwise-reranker": "maieutic.agents.reranker:SetwiseReranker",
    "short-thinker": "maieutic.agents.short_thinker:ShortThinker",
    "solver": "maieutic.agents.solver:Solver",
    "step-critic": "maieutic.agents.step_critic:StepCritic",
    "stepper": "maieutic.agents.stepper:Stepper",
    "sufficiency-critic": "maieutic.agents.sufficiency_critic:SufficiencyCritic",
    "sufficiency-probability": "maieutic.agents.sufficiency_critic:ProbableSufficiencyCritic",
    "summariser": "maieutic.agents.summariser:Summariser",
    "supporter": "maieutic.agents.valuer:supporter",
    "truth-rater": "maieutic.agents.confidence:TruthRater",
    "validator": "maieutic.agents.validator:Validator",
    "valuer": "maieutic.agents.valuer:Valuer",
    "verifier": "maieutic.agents.confidence:verifier",
    "worker": "maieutic.agents.guided:worker",
}
ENTRY_POINTS = "maieutic.agents"

Factory = Callable[..., Any]
_registered: dict[str, Factory] = {}


def register_agent(name: str) -> Callable[[Factory], Factory]:
    """Decorator: make a class (or a function returning an agent) known as agent `name`.

    It is called with `sampling=Sampling(...)` and returns an async callable with the signature of the role it plays
    (see `maieutic.agents.critic.Critic` and its siblings).
    """

    def register(factory: Factory) -> Factory:
        _registered[name] = factory
        return factory

    return register


def agent_names() -> list[str]:
    return sorted({*SHIPPED, *_registered, *(e.name for e in entry_points(group=ENTRY_POINTS))})


def make_agent(name: str, sampling: Sampling = Sampling()) -> Any:
    """The agent called `name` (known, or `package.module:name`); raises UnknownName."""
    return _find(name)(sampling=sampling)


def _find(name: str) -> Factory:
    if name in _registered:
        return _registered[name]
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return entry.load()  # type: ignore[no-any-return]
    path = SHIPPED.get(name, name)
    if ":" not in path:
        raise UnknownName("agent", name, agent_names())
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise UserError(f"The agent {path} can't be imported: {error}.") from error
