import pytest

from maieutic.agents.citations import claims, resolve

ADDRESSES = ["https://a.example/x", "source 3"]


@pytest.mark.parametrize(
    ("text", "plain", "numbers", "dropped"),
    [
        ("It is [1] and [2].", "It is [1] and [2].", (1, 2), ()),
        ("It is [1, 3].", "It is [1].", (1,), ("[3]",)),
        ("It is [0][9].", "It is.", (), ("[0]", "[9]")),
        ("See https://a.example/x.", "See [1].", (1,), ()),
        ("See (https://b.example/y), or not.", "See, or not.", (), ("https://b.example/y",)),
        ("Answer: Paris [2].", "Answer: Paris", (2,), ()),
        ("**Answer:** 350 grams [1] [4]", "**Answer:** 350 grams", (1,), ("[4]",)),
        ("Answer: [1, 2, 3]", "Answer: [1, 2, 3]", (), ()),
        ("Answer: https://b.example/y", "Answer: https://b.example/y", (), ()),
        ("array[12345] stays", "array[12345] stays", (), ()),
    ],
)
def test_citations_lead_somewhere_or_are_taken_out(
    text: str, plain: str, numbers: tuple[int, ...], dropped: tuple[str, ...]
) -> None:
    cited = resolve(text, ADDRESSES)
    assert (cited.text, cited.numbers, cited.dropped) == (plain, numbers, dropped)


def test_sentences_that_cite_something_are_claims() -> None:
    text = "Owls fly. An owl weighs 350 g [1]. It hunts [1, 2] at night.\nThat's all.\nAnswer: 350 g"
    assert claims(text) == [("An owl weighs 350 g.", (1,)), ("It hunts at night.", (1, 2))]
