"""Reading a number the way people write it, exactly.

Values are fractions: 0.1 is one tenth, 50% is one half, 1e3 is a thousand, so that equality is equality. What can't be
read without guessing (1.234,50; 5 or 6; NaN) is None.
"""

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

MAX_LENGTH = 400
MAX_EXPONENT = 400

_MINUS = dict.fromkeys(map(ord, "\u2212\u2010\u2011\u2012\u2013\u2014\uff0d\ufe63"), "-")
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), "\u202f")
_MATH = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_MARKS = (
    (r"\%", "%"), (r"\$", "$"), ("{,}", ","), (r"\,", ""), (r"\!", ""), (r"\ ", " "), (r"\;", " "),
    (r"\qquad", " "), (r"\quad", " "), ("~", " "), (r"^\circ", "°"), (r"^{\circ}", "°"),
)  # fmt: skip
_COMMAND = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\{([^{}]*)\}")
_ASSIGNED = re.compile(r"\A[A-Za-z](?:_?[A-Za-z0-9])?[ ]?=[ ]?(?=[^=]*\Z)")
_FRACTION = re.compile(r"\\[dt]?frac(?:\{([^{}]*)\}\{([^{}]*)\}|([0-9])([0-9]))")
_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:\u202f[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)[ ]?(?P<currency>[€£¥₹$]?)[ ]?(?P<sign2>[+-]?)"
    rf"(?:(?P<whole>[0-9]+)[ ](?P<part>[0-9]+)/(?P<of>[0-9]+)|(?P<value>{_DECIMAL})"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)"
    r"|[ ]?(?:[x×*·]|\\times|\\cdot)[ ]?10(?:\^|\*\*)\{?\(?(?P<power>[+-]?[0-9]+)\)?\}?)?"
    rf"(?:[ ]?/[ ]?(?P<below>{_DECIMAL}))?)"
    r"[ ]?(?P<percent>%|percent\b|per[ ]cent\b)?[ ]?(?P<unit>.*)",
    re.DOTALL,
)
_UNIT = re.compile(r"(?:°|º)?(?:[ ]?[A-Za-zµΩ€£¥₹$][A-Za-zµΩ²³]*(?:[/^][A-Za-z0-9²³]+)?){0,3}")
_NOT_UNITS = frozenset(
    "hundred thousand million billion trillion dozen score bn and or to by plus minus times over percent per mod pi "
    "k K M B e i x y z".split()
)


class Number(NamedTuple):
    """An exact value, whether it was written with a percent sign, and the unit behind it ("" where there is none)."""

    value: Fraction
    percent: bool
    unit: str


def parse_number(text: str) -> Number | None:
    """The number that `text` is, or None where it isn't exactly one number (or is too large to be worth reading)."""
    if len(text) > MAX_LENGTH:
        return None
    match = _NUMBER.fullmatch(_ASSIGNED.sub("", plain(text)))
    if match is None or (match["sign"] and match["sign2"]):
        return None
    unit = match["unit"].strip().rstrip(".")
    words = [word if len(word) == 1 else word.lower() for word in re.findall(r"[A-Za-z]+", unit)]
    if not _UNIT.fullmatch(unit) or _NOT_UNITS.intersection(words):
        return None
    value = _magnitude(match)
    if value is None:
        return None
    negative = "-" in (match["sign"], match["sign2"])
    percent = match["percent"] is not None
    return Number((-value if negative else value) / (100 if percent else 1), percent, unit.lower())


def plain(text: str) -> str:
    """`text` without mathematical typesetting: as `untypeset`, and simple fractions as a/b."""
    return _FRACTION.sub(lambda match: f"{match[1] or match[3]}/{match[2] or match[4]}", untypeset(text))


def untypeset(text: str) -> str:
    """`text` with ASCII digits and minus, and without dollar signs around it, `\\text{…}` and LaTeX spaces."""
    text = _ascii_digits(text.translate(_MINUS).translate(_SPACES)).strip()
    for opening, closing in _MATH:
        sentence = text.removesuffix(".")
        if sentence.startswith(opening) and sentence.endswith(closing) and len(sentence) > len(opening + closing):
            text = sentence[len(opening) : -len(closing)].strip()
    text = _COMMAND.sub(r"\1", text)
    for mark, replacement in _MARKS:
        text = text.replace(mark, replacement)
    return " ".join(text.split(" ")).strip()


def _ascii_digits(text: str) -> str:
    if text.isascii():
        return text
    return "".join(_ascii(character) for character in text)


def _ascii(character: str) -> str:
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    name = unicodedata.decomposition(character)
    if name.startswith("<fraction>"):
        return " " + unicodedata.normalize("NFKC", character).replace("\u2044", "/")
    return character


def _magnitude(match: re.Match[str]) -> Fraction | None:
    if match["whole"]:
        part, of = int(match["part"]), int(match["of"])
        return int(match["whole"]) + Fraction(part, of) if 0 < part < of else None
    exponent = match["exponent"] or match["power"] or "0"
    if len(exponent) > 6 or abs(int(exponent)) > MAX_EXPONENT:
        return None
    value = _fraction(match["value"]) * Fraction(10) ** int(exponent)
    if match["below"] is None:
        return value
    below = _fraction(match["below"])
    return value / below if below else None


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").replace("\u202f", "").rstrip(".") or "0")
