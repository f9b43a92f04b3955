"""The enumerator of truth tables against Python's own logic, and what it refuses to read."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.tasks.truth_table import MAX_VARIABLES, Argument, UnreadableFormula, decide


def finding(variables: str, premises: list[str], conclusion: str) -> str | None:
    return decide(Argument(tuple(variables.split()), tuple(premises), conclusion)).finding


@pytest.mark.parametrize(
    ("premises", "conclusion", "expected"),
    [
        (["p -> q", "p"], "q", "True"),
        (["p -> q", "~q"], "p", "False"),
        (["p -> q", "q"], "p", "Uncertain"),
        (["p or q", "not p"], "q", "True"),
        (["p xor q", "p"], "q", "False"),
        (["p <-> q", "p <-> r"], "q <-> r", "True"),
        (["p", "~p"], "q", None),
        ([], "p | ~p", "True"),
        ([], "p", "Uncertain"),
    ],
)
def test_what_premises_say_of_a_conclusion(premises: list[str], conclusion: str, expected: str | None) -> None:
    assert finding("p q r", premises, conclusion) == expected


@pytest.mark.parametrize(
    ("formula", "same"),
    [
        ("p -> q -> r", "p -> (q -> r)"),
        ("p | q & r", "p | (q & r)"),
        ("~p & q", "(~p) & q"),
        ("p ∧ ¬q ⇒ r", "(p & ~q) -> r"),
        ("p /\\ q \\/ r", "(p and q) or r"),
        ("p && !q || r", "(p & ~q) | r"),
        ("p ^ q | r", "(p ^ q) | r"),
        ("[p ≡ q]", "p iff q"),
    ],
)
def test_spellings_and_precedence(formula: str, same: str) -> None:
    assert finding("p q r", [], f"({formula}) <-> ({same})") == "True"


@pytest.mark.parametrize(
    ("variables", "formula"),
    [
        ("p", "p & q"),
        ("p", "p &"),
        ("p", "(p"),
        ("p", "p p"),
        ("p", ""),
        ("p", "__import__('os').system('true')"),
        ("p", "p; p"),
        ("p", "(" * 5000 + "p" + ")" * 5000),
        ("p", "(" * 100 + "p" + ")" * 100),
        ("", "true"),
        ("p p", "p"),
        ("and", "and"),
        ("1p", "1p"),
        (" ".join(f"v{i}" for i in range(MAX_VARIABLES + 1)), "v1"),
    ],
)
def test_what_is_no_formula_is_refused(variables: str, formula: str) -> None:
    with pytest.raises(UnreadableFormula):
        finding(variables, [], formula)


def test_the_largest_table_is_quick() -> None:
    names = [f"v{i}" for i in range(MAX_VARIABLES)]
    chain = [f"{a} -> {b}" for a, b in itertools.pairwise(names)]
    table = decide(Argument(tuple(names), tuple(chain), f"{names[0]} -> {names[-1]}"))
    assert (table.rows, table.allowed, table.finding) == (2**MAX_VARIABLES, MAX_VARIABLES + 1, "True")


FORMULAS = st.recursive(
    st.sampled_from(["p", "q", "r", "s"]),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or", "->", "<->", "xor"]), inner, inner)
    ),
    max_leaves=8,
)


def written(formula: Any) -> str:
    match formula:
        case str():
            return formula
        case ("not", one):
            return f"~({written(one)})"
        case (sign, one, other):
            return f"(({written(one)}) {sign} ({written(other)}))"
    raise AssertionError(formula)


def holds(formula: Any, row: dict[str, bool]) -> bool:
    match formula:
        case str():
            return row[formula]
        case ("not", one):
            return not holds(one, row)
        case (sign, one, other):
            a, b = holds(one, row), holds(other, row)
            return {"and": a and b, "or": a or b, "->": not a or b, "<->": a == b, "xor": a != b}[sign]
    raise AssertionError(formula)


@given(st.lists(FORMULAS, max_size=3), FORMULAS)
def test_it_agrees_with_a_table_row_by_row(premises: list[Any], conclusion: Any) -> None:
    rows = [dict(zip("pqrs", values, strict=True)) for values in itertools.product((False, True), repeat=4)]
    kept = [row for row in rows if all(holds(premise, row) for premise in premises)]
    table = decide(Argument(tuple("pqrs"), tuple(map(written, premises)), written(conclusion)))
    assert (table.rows, table.allowed, table.holds) == (16, len(kept), sum(holds(conclusion, row) for row in kept))
