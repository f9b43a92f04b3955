import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from maieutic.tasks.answers import equivalent
from maieutic.tasks.formula_key import formula_key


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("2x+1", "1+x*2"),
        ("(x+1)^2", "x**2+2x+1"),
        (r"\frac{x^{2}-1}{x-1}", "x+1"),
        (r"\sin^2 x + \cos^2 x", "1"),
        ("sin 2x", "2 sin x cos x"),
        (r"$\sqrt{8}$", r"2\sqrt{2}"),
        (r"\sqrt[3]{8}", "2"),
        (r"\frac{1}{1+\frac{1}{x}}", r"\dfrac{x}{x+1}"),
        ("e^{i\\pi}", "-1"),
        ("sinh(x)", "(e^x - e^{-x})/2"),
        ("2πr", r"2 \pi r"),
        ("3x²", "3*x^2"),
        ("xy", "y x"),
        ("x_1 + x_{2}", "x_2 + x_1"),
        ("-x^2", "-(x^2)"),
        ("a^b^c", "a^(b^c)"),
        ("2^-3", "1/8"),
        ("0.1", "1/10"),
        ("100", "10^2"),
        ("x - x", "0"),
        ("y = 2x", "2x"),
        ("2y = 4x + 2", "y - 2x = 1"),
        (r"\left(x+1\right)\cdot 2", "2x + 2"),
        ("1e3", "1000"),
    ],
)
def test_equal_formulas(a: str, b: str) -> None:
    assert equivalent(a, b, "formula")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x", "y"),
        ("(x+1)^2", "x^2+1"),
        ("sqrt(x^2)", "x"),
        ("ln(x^2)", "2 ln(x)"),
        ("x", "x + 0.0000000001"),
        ("10^20 + 1", "10^20"),
        ("a^b^c", "(a^b)^c"),
        ("y - 2x = 1", "y - 2x = 2"),
        ("x_1", "x_2"),
        ("1/(2x)", "x/2"),
    ],
)
def test_different_formulas(a: str, b: str) -> None:
    assert formula_key(a) is not None
    assert not equivalent(a, b, "formula")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello world",
        "__import__('os').system('true')",
        "(1).__class__",
        "x.y",
        "lambda: 1",
        "open('x')",
        "nan",
        "1/0",
        "1/(x-x)",
        "log(0)",
        "x +",
        "(x",
        "x)",
        "x = y = z",
        r"\frac{1}{",
        "x!",
        "|x|",
    ],
)
def test_what_is_not_a_formula_has_no_key(text: str) -> None:
    assert formula_key(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9",
        "9^9^9^9^x",
        "((((9^99)^99)^99)^99)",
        "2^" * 90 + "2",
        "x^99999999999",
        "exp(" * 12 + "9" + ")" * 12,
        "(" * 400,
        "(" * 200 + "x" + ")" * 200,
        "-" * 10_000 + "x",
        "\\frac{" * 80,
        "1" * 10_000,
        "99999999!",
    ],
)
def test_formulas_that_would_take_for_ever_are_refused_at_once(text: str) -> None:
    formula_key("x")  # SymPy is imported
    start = time.process_time()
    assert formula_key(text) is None
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("text", ["x^x^x^x^x^x", "(x+y+z+w+a+b)^1000", "2^(1/97)*3^(1/89)*5^(1/83)", "(2^100+1)^(1/3)"])
def test_heavy_formulas_are_compared_in_bounded_time(text: str) -> None:
    formula_key("x")
    start = time.process_time()
    assert equivalent(text, text, "formula")
    assert time.process_time() - start < 0.5


def test_keys_are_the_same_from_many_threads() -> None:
    formulas = [f"x^{i % 7 + 2} + sin({i}x)/({i}+1) + sqrt({i}+2)" for i in range(80)]
    alone = [formula_key(formula) for formula in formulas]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(formula_key, formulas))
    finally:
        sys.setswitchinterval(before)
    assert together == alone
