"""Secrets and personal data: found by their form, replaced by a name for what was there.

Equal values get equal names within a row (`[EMAIL_1]`), so that a conversation stays one. What is found by form is
found where the form is sure; a number is a telephone number only where something says so, because a mathematical data
set is full of `100-200-3000`. Names of people, addresses and dates of birth have no form: they are not found.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from maieutic.recipes.recipe import Row

_BREAK = r"(?:\s|\\[nr])*"  # also as JSON writes it
_PEM = (
    rf"-----BEGIN [A-Z ]{{0,20}}PRIVATE KEY-----(?:{_BREAK}[A-Z][A-Za-z-]+: [^\s\"\\]+)*"
    rf"(?:{_BREAK}[A-Za-z0-9+/]{{16,}}={{0,2}})*"
    rf"(?:{_BREAK}[A-Za-z0-9+/]*={{0,2}}{_BREAK}-----END [A-Z ]{{0,20}}PRIVATE KEY-----)?"
)
# Nothing here matches a quotation mark, so that JSON text within a row stays JSON.
_KINDS: tuple[tuple[str, str], ...] = (
    ("PRIVATE_KEY", _PEM),
    ("AWS_KEY", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    ("GITHUB_TOKEN", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b"),
    ("ANTHROPIC_KEY", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    ("OPENAI_KEY", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}"),
    ("HF_TOKEN", r"\bhf_[A-Za-z0-9]{30,}\b"),
    ("SLACK_TOKEN", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("GOOGLE_KEY", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("STRIPE_KEY", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("GITLAB_TOKEN", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("PYPI_TOKEN", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    ("JWT", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
)
_FORMS = [(kind, re.compile(form)) for kind, form in _KINDS]
_URL_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s:/@\"'\\]{1,64}:([^\s/@\"'\\]{1,128})@")
_BEARER = re.compile(r"(?i)\bbearer\s+([A-Za-z0-9._~+/-]{16,}=*)")
_ASSIGNED = re.compile(
    r"(?i)\b[\w-]*(?:api[_-]?key|secret|access[_-]?key|auth[_-]?token|token|passw(?:or)?d|passphrase|pwd)\b"
    r"(?:\\?[\"'])?\s{0,3}(?::|=>?)\s{0,3}(?:\\?[\"'])?([A-Za-z0-9+/=_.!@#$%^&*~-]{8,200})(?![\w(\[])"
)
_LONG = re.compile(r"(?<![\w/+.=-])[A-Za-z0-9+/_-]{32,200}={0,2}(?![\w/+.-])")
_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}\b")
_NOBODYS = re.compile(r"(?i)@(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|test|invalid|example|localhost)$")
_ABROAD = re.compile(r"(?<![\w.+)-])\+[1-9]\d{0,2}(?:[ .-]?\(\d{1,4}\))?(?:[ .-]?\d{2,4}){2,5}(?!\w)")
_AMERICAN = re.compile(r"(?<![\w)-])\(\d{3}\) ?\d{3}-\d{4}(?!\w)")
_TOLD = re.compile(
    r"(?i)\b(?:phone|telephone|tel|mobile|cell|fax|whatsapp|call (?:me|us|him|her|them)(?: (?:at|on))?)\b"
    r"[^\n\d\"+(]{0,20}(\+?\(?\d[\d ().-]{6,18}\d)(?!\w)"
)
_CARD = re.compile(r"(?<![\d-])\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?![\d-])")
_SOCIAL = re.compile(r"(?i)\b(?:ssn|social security)\b[^\n\d\"]{0,30}(\d{3}-\d{2}-\d{4})\b")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_UUID = re.compile(r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


@dataclass(slots=True)
class Redactor:
    """`counts` are the values replaced so far, by kind, each once a row. With `secrets` or `personal` off, that half
    is left as it is."""

    secrets: bool = True
    personal: bool = True
    counts: Counter[str] = field(default_factory=Counter)

    def row(self, row: Row) -> tuple[Row, Counter[str]]:
        """The row without secrets and personal data, and what was replaced, by kind. Keys are looked at, too."""
        names: dict[str, str] = {}
        numbers: Counter[str] = Counter()
        clean = self._value(row, names, numbers)
        self.counts.update(numbers)
        return (clean if numbers else row), numbers

    def text(self, text: str) -> str:
        return str(self._value(text, {}, Counter()))

    def _value(self, value: Any, names: dict[str, str], numbers: Counter[str]) -> Any:
        if isinstance(value, str):
            return self._text(value, names, numbers)
        if isinstance(value, dict):
            return {self._text(k, names, numbers): self._value(inner, names, numbers) for k, inner in value.items()}
        if isinstance(value, list) and not (value and isinstance(value[0], int | float)):
            return [self._value(inner, names, numbers) for inner in value]
        return value

    def _text(self, text: str, names: dict[str, str], numbers: Counter[str]) -> str:
        for kind, start, end in self._found(text):
            found = text[start:end]
            if found not in names:
                numbers[kind] += 1
                names[found] = f"[{kind}_{numbers[kind]}]"
            text = text[:start] + names[found] + text[end:]
        return text

    def _found(self, text: str) -> list[tuple[str, int, int]]:
        """Kind, start and end of everything, from the last to the first; of what overlaps, the first kind."""
        taken: list[tuple[str, int, int]] = []
        kinds = [*(_secrets(text) if self.secrets else ()), *(_personal(text) if self.personal else ())]
        for kind, start, end in kinds:
            if all(end <= other_start or start >= other_end for _, other_start, other_end in taken):
                taken.append((kind, start, end))
        return sorted(taken, key=lambda one: -one[1])


def _secrets(text: str) -> Iterator[tuple[str, int, int]]:
    for kind, form in _FORMS:
        yield from ((kind, *match.span()) for match in form.finditer(text))
    for match in _URL_PASSWORD.finditer(text):
        yield "PASSWORD", *match.span(1)
    yield from (("TOKEN", *match.span(1)) for match in _BEARER.finditer(text))
    for match in _ASSIGNED.finditer(text):
        if _random(match[1], 2.5) or (any(map(str.isdigit, match[1])) and any(not c.isalnum() for c in match[1])):
            yield "SECRET", *match.span(1)
    for match in _LONG.finditer(text):
        if _random(match[0], 4.3) and _mixed(match[0]):
            yield "SECRET", *match.span()


def _personal(text: str) -> Iterator[tuple[str, int, int]]:
    if "@" in text:
        yield from (("EMAIL", *m.span()) for m in _EMAIL.finditer(text) if not _NOBODYS.search(m[0]))
    for form, group in ((_ABROAD, 0), (_AMERICAN, 0), (_TOLD, 1)):
        for match in form.finditer(text):
            if 8 <= _digits(match[group]) <= 15 and not _thousands(match[group]):
                yield "PHONE", *match.span(group)
            elif form is _TOLD and 7 <= _digits(match[group]) <= 15:
                yield "PHONE", *match.span(group)
    yield from (("CARD", *match.span()) for match in _CARD.finditer(text) if _luhn(match[0]))
    yield from (("SOCIAL_SECURITY", *match.span(1)) for match in _SOCIAL.finditer(text))
    yield from (("IBAN", *match.span()) for match in _IBAN.finditer(text) if _checks(match[0]))


def entropy(text: str) -> float:
    """Shannon's, in bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _random(text: str, least: float) -> bool:
    return entropy(text) >= least and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _mixed(text: str) -> bool:
    """Capitals, small letters and digits in disorder: no hash, no UUID, no path, no name of a function."""
    has: list[Callable[[str], bool]] = [str.isupper, str.islower, str.isdigit]
    if _UUID.match(text) or not all(any(map(kind, text)) for kind in has) or text.count("/") > 2:
        return False
    changes = sum(a.isalpha() != b.isalpha() for a, b in zip(text, text[1:], strict=False))
    return changes >= len(text) // 8


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _thousands(text: str) -> bool:
    """+1 000 000 000 is a number in groups of three."""
    groups = re.split(r"[ .-]", text.lstrip("+"))
    return len(groups) > 1 and all(len(group) == 3 for group in groups[1:])


def _luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()][::-1]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * d, 10)) for d in digits[1::2]) % 10


def _checks(iban: str) -> bool:
    plain = iban.replace(" ", "")
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1
