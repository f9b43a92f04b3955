"""Constraints that a question puts on the form of its answer, found and checked by rule: length, keywords, format.

The kinds are those of Zhou et al. 2023, "Instruction-Following Evaluation for Large Language Models" (IFEval), arXiv
2311.07911. Only what is said plainly is found: a constraint that is missed is not checked, none is made up.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from maieutic.tasks.extraction import without_thoughts

_NUMBERS = {name: n for n, name in enumerate("zero one two three four five six seven eight nine ten twelve".split())}
_NUMBERS["twelve"] = 12
_N = r"(\d+|" + "|".join(_NUMBERS) + r")"
_ANSWER = re.compile(
    r"^[ \t>#*_-]*(?:the\s+)?(?:final\s+)?answer(?:\s+is)?\W{0,3}[:：][*_ \t]*", re.IGNORECASE | re.MULTILINE
)
_QUOTED = r"[\"'“‘`]([^\"'”’`\n]{1,80})[\"'”’`]"
_LIST = rf"((?:{_QUOTED}(?:\s*,\s*|\s*,?\s*(?:and|or)\s+)?)+)"
_UNITS: dict[str, Callable[[str], int]] = {
    "word": lambda text: len(re.findall(r"\b[\w'’-]+\b", text)),
    "sentence": lambda text: len(re.findall(r"[.!?]+(?=[\s\"'”’)]|$)", text)),
    "paragraph": lambda text: len([p for p in re.split(r"\n\s*\n|\n?\*\*\*\n?", text) if p.strip()]),
    "line": lambda text: len([line for line in text.splitlines() if line.strip()]),
    "character": len,
    "bullet point": lambda text: len(re.findall(r"^\s*(?:[-*•]|\d+[.)])\s+\S", text, re.MULTILINE)),
}
_UNIT = r"(words?|sentences?|paragraphs?|lines?|characters?|bullets?(?: points?)?)"
_BOUNDS = (
    (rf"(?:at least|no (?:fewer|less) than|a minimum of)\s+{_N}\s+{_UNIT}", ">="),
    (rf"(?<!no )(?<!not )(?:more than|over)\s+{_N}\s+{_UNIT}", ">"),
    (rf"(?:at most|no more than|not more than|up to|a maximum of|not exceed(?:ing)?)\s+{_N}\s+{_UNIT}", "<="),
    (rf"(?<!no )(?:less than|fewer than|under)\s+{_N}\s+{_UNIT}", "<"),
    (rf"(?:exactly|precisely)\s+{_N}\s+{_UNIT}", "="),
)
_HOLDS: dict[str, Callable[[int, int], bool]] = {
    ">=": lambda n, bound: n >= bound,
    ">": lambda n, bound: n > bound,
    "<=": lambda n, bound: n <= bound,
    "<": lambda n, bound: n < bound,
    "=": lambda n, bound: n == bound,
}
_SAID = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than", "=": "exactly"}


@dataclass(frozen=True, slots=True)
class Constraint:
    """One demand on the form of an answer, in words, and whether a text meets it; a length, a keyword or a format."""

    kind: str
    said: str
    holds: Callable[[str], bool]


def constraints(question: str) -> tuple[Constraint, ...]:
    """The constraints that `question` states, in a fixed order; empty where none can be verified by rule."""
    found: dict[str, Constraint] = {}
    for constraint in (*_lengths(question), *_keywords(question), *_formats(question)):
        found.setdefault(constraint.said, constraint)
    return tuple(found.values())


def violations(demands: tuple[Constraint, ...], text: str) -> tuple[str, ...]:
    """What the response in `text` fails to meet, in words."""
    said = response(text)
    return tuple(demand.said for demand in demands if not demand.holds(said))


def response(text: str) -> str:
    """What a model's reply answers with: without its thoughts, and from the last "Answer:" on where there is one."""
    shown = without_thoughts(text)
    markers = list(_ANSWER.finditer(shown))
    return shown[markers[-1].end() :].strip() if markers else shown.strip()


def _lengths(question: str) -> Iterator[Constraint]:
    for pattern, sign in _BOUNDS:
        for match in re.finditer(pattern, question, re.IGNORECASE):
            yield _length(sign, _number(match.group(1)), match.group(2))
    for match in re.finditer(rf"between\s+{_N}\s+and\s+{_N}\s+{_UNIT}", question, re.IGNORECASE):
        yield _length(">=", _number(match.group(1)), match.group(3))
        yield _length("<=", _number(match.group(2)), match.group(3))


def _length(sign: str, bound: int, unit: str) -> Constraint:
    name = "bullet point" if unit.lower().startswith("bullet") else unit.lower().rstrip("s")
    count, holds = _UNITS[name], _HOLDS[sign]
    return Constraint(
        "length", f"{_SAID[sign]} {bound} {name}{'' if bound == 1 else 's'}", lambda t: holds(count(t), bound)
    )


def _keywords(question: str) -> Iterator[Constraint]:
    word = r"(?:the\s+)?(?:following\s+)?(?:words?|keywords?|phrases?|terms?)\s*:?\s*"
    for match in re.finditer(
        rf"(?:include|contain|use|mention)\s+{word}{_LIST}(\s+at\s+least\s+{_N}\s+times)?", question, re.I
    ):
        bound = _number(match.group(4)) if match.group(4) else 1
        for key in re.findall(_QUOTED, match.group(1)):
            before = question[max(0, match.start() - 12) : match.start()].lower()
            yield _forbidden(key) if re.search(r"(?:not|n't|never)\s+$", before) else _required(key, bound)
    for match in re.finditer(rf"(?:avoid|without)\s+(?:using\s+)?{word}{_LIST}", question, re.IGNORECASE):
        for key in re.findall(_QUOTED, match.group(1)):
            yield _forbidden(key)


def _required(key: str, bound: int) -> Constraint:
    times = "" if bound == 1 else f" at least {bound} times"
    return Constraint("keyword", f"has the word {key!r}{times}", lambda text: _occurrences(key, text) >= bound)


def _forbidden(key: str) -> Constraint:
    return Constraint("keyword", f"does not have the word {key!r}", lambda text: _occurrences(key, text) == 0)


def _occurrences(key: str, text: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(key)}(?!\w)", text, re.IGNORECASE))


def _formats(question: str) -> Iterator[Constraint]:
    for pattern, said, holds in _FORMATS:
        if re.search(pattern, question, re.IGNORECASE):
            yield Constraint("format", said, holds)
    for verb, with_ in ((r"(?:end|finish)\s+(?:your|the|with)", _ends), (r"(?:begin|start)\s+(?:your|the)", _begins)):
        for match in re.finditer(rf"{verb}[^.\n\"'“]*?with\s+[^.\n\"'“]*?{_QUOTED}", question, re.IGNORECASE):
            yield with_(match.group(1).strip())


def _ends(key: str) -> Constraint:
    return Constraint("format", f"ends with {key!r}", lambda text: text.rstrip(" \"'”*").endswith(key))


def _begins(key: str) -> Constraint:
    return Constraint("format", f"begins with {key!r}", lambda text: text.lstrip(" \"'“*").startswith(key))


def _is_json(text: str) -> bool:
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?```", text.strip(), re.DOTALL | re.IGNORECASE)
    try:
        json.loads(fenced.group(1) if fenced else text)
    except ValueError:
        return False
    return True


_FORMATS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    (r"(?:in|as|valid|using)\s+(?:a\s+)?(?:valid\s+)?json(?:\s+format|\s+object)?\b", "is JSON", _is_json),
    (
        r"(?:all|only|entirely in|in all|in)\s+lower\s?case",
        "is in lower case",
        lambda text: text == text.lower(),
    ),
    (
        r"(?:all|only|entirely in|in all|in)\s+(?:capital letters|upper\s?case|caps)",
        "is in capital letters",
        lambda text: text == text.upper(),
    ),
    (r"(?:no|without(?: any)?|any) commas", "has no commas", lambda text: "," not in text),
    (
        r"(?:wrap|enclose|put)[^.\n]{0,40}\bin(?:side)? double quotation marks",
        "is wrapped in double quotation marks",
        lambda text: len(text) > 1 and text[0] in '"“' and text[-1] in '"”',
    ),
    (
        r"title[^.\n]{0,60}(?:double angular brackets|<<)",
        "has a title in double angular brackets",
        lambda text: re.search(r"<<[^\n]+>>", text) is not None,
    ),
    (
        r"\bpostscript\b|starting with P\.\s?S\.",
        "has a postscript",
        lambda text: re.search(r"^\s*P\.\s?S\.", text, re.M) is not None,
    ),
)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBERS[text.lower()]
