"""Probabilities of short answers: spellings summed, shared out, and None where nothing is known."""

import math

import pytest

from maieutic.errors import UserError
from maieutic.llm.confidence import option_probabilities, p_true
from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.profile import Profile
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.types import Completion, Request, Sampling
from tests.support.server import Answer, FakeServer


def said(**shares: float) -> Completion:
    """A one-token reply whose alternatives have these probabilities; _ stands for a space before the token."""
    return Completion("", top_logprobs=(tuple((t.replace("_", " "), math.log(p)) for t, p in shares.items()),))


def test_spellings_count_together_and_what_is_no_option_does_not_count() -> None:
    completion = said(True_=0.2, _true=0.1, TRUE=0.1, Yes=0.1, no=0.2, _False=0.05, Maybe=0.2)
    assert p_true(completion) == pytest.approx(0.5 / 0.75)
    assert p_true(completion, true=("Maybe",), false=("no",)) == pytest.approx(0.5)
    assert option_probabilities(completion, ("maybe", "no", "perhaps")) == pytest.approx(
        {"maybe": 0.5, "no": 0.5, "perhaps": 0.0}
    )


def test_raw_pieces_of_tokenizers_are_words_too() -> None:
    completion = Completion("", top_logprobs=((("\u2581True", math.log(0.3)), ("\u0120False", math.log(0.1))),))
    assert p_true(completion) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "completion",
    [
        Completion("True"),
        Completion("True", top_logprobs=()),
        Completion("True", top_logprobs=((),)),
        said(Perhaps=0.9),
        Completion("", top_logprobs=((("True", -9999.0), ("False", -math.inf)),)),
    ],
)
def test_what_is_not_known_is_none_and_not_a_half(completion: Completion) -> None:
    assert p_true(completion) is None
    assert option_probabilities(completion, ("True", "False")) is None


def test_only_the_first_token_counts() -> None:
    completion = Completion("", top_logprobs=((("Hm", -0.1),), (("True", -0.1),)))
    assert p_true(completion) is None


def test_options_that_are_the_same_are_a_mistake() -> None:
    with pytest.raises(UserError, match="'a' is given twice"):
        option_probabilities(said(A=1.0), ("A", "a"))


async def test_temperature_does_not_change_what_the_in_box_model_says_of_itself() -> None:
    model = InBoxModel(threads=1)
    question = ({"role": "user", "content": "What is 4 + 3?"},)
    found = [
        option_probabilities(
            await model.sample(Request(question, Sampling(temperature=t, max_tokens=1, top_logprobs=20, seed=1))),  # type: ignore[arg-type]
            ("4", "I"),
        )
        for t in (0.0, 1.0, 5.0)
    ]
    await model.close()
    assert found[0] is not None and found[0]["4"] > 0.5
    assert found[1] == pytest.approx(found[0]) and found[2] == pytest.approx(found[0])


@pytest.mark.parametrize("kind", ["vllm", "openai-compatible"])
async def test_alternatives_of_a_server(kind: str) -> None:
    answer = Answer("T", tops=[{"True": -0.5, " true": -2.5, "False": -1.5}])
    with FakeServer(answer) as server:
        model = OpenAICompatibleModel("x", Profile(kind=kind, model="m"), server.url)  # type: ignore[arg-type]
        completion = await model.sample(
            Request(({"role": "user", "content": "?"},), Sampling(max_tokens=1, top_logprobs=20))
        )
        await model.close()
    assert server.requests[0]["top_logprobs"] == 20 and server.requests[0]["logprobs"] is True
    mass = math.exp(-0.5) + math.exp(-2.5)
    assert p_true(completion) == pytest.approx(mass / (mass + math.exp(-1.5)))
