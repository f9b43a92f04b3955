"""What is taken out of candidates before a judge sees them, so that it judges what they say and not how they say it.

Judges were seen to follow claims of popularity and of authority, and to prefer whatever stands behind a show of second
thoughts (Wang et al. 2025, "Assessing Judging Bias in Large Reasoning Models: An Empirical Study", arXiv 2504.09946).
All of it is found by rule, and a rule rather leaves a sentence as it is: what is taken out can't be judged.
"""

import re
from collections import Counter
from dataclasses import dataclass

from maieutic.tasks.extraction import without_thoughts

_FENCE = re.compile(r"(^[ \t]*```.*?^[ \t]*```[ \t]*$)", re.DOTALL | re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?…])(?<!\bal\.)(?<!\bdr\.)(?<!\bprof\.)[ \t]+", re.IGNORECASE)
_ANSWER = re.compile(r"^[ \t>#*_-]*(?:the\s+)?(?:final\s+|correct\s+)?answer\b|\\boxed|<answer>", re.IGNORECASE)
_HALT = r"(?:wait|hold on|hang on|hm+|on second thoughts?|on reflection)"
_SOFT = r"(?:okay|ok|actually|oh|alright|so|now|but)"
_THINKS = r"think|rethink|re-think|reconsider|reflect|pause|double[- ]check|re-?check|re-?examine|slow down|look again"
_AGAIN = (
    r"(?:\s+(?:about|over|again|this|that|it|the|my|problem|question|more|carefully|through|step|by|once|all|for|a|an|moment|"
    r"second|minute|answer|work|working|reasoning|steps|solution|here|back|of|with|and|everything|on|twice|hard|deeply))*"
)
_REFLECTS = (
    rf"(?:(?:let me|let us|let's|let’s)\s+(?:just\s+|now\s+|first\s+)?(?:{_THINKS}|check|verify|go|take)|"
    rf"i(?:'ll|’ll|\s+(?:should|need to|have to|must|want to|will))\s+(?:{_THINKS})){_AGAIN}"
)
_ENDS = r"\s*(?:[,.!?…:;—–]+\s*|$)"
_REFLECTION = re.compile(
    rf"(?:(?:(?:{_HALT}|{_SOFT})\b[\s,.!…—–]*)*\b{_REFLECTS}{_ENDS}|{_HALT}{_ENDS})+", re.IGNORECASE
)
_MANY = (
    r"(?:\d{1,3}\s?(?:%|percent\b|per cent\b)|(?:\w+\s+)?(?:percent|per cent)\b|most\b|many\b|nearly all\b|"
    r"almost all\b|all\b|(?:a|the)\s+(?:\w+\s+)?majority of\b|nine out of ten\b|\d+ (?:out )?of \d+\b)"
)
_CROWD = (
    r"(?:people|users|experts?|readers|students|annotators|judges|models|reviewers|respondents|voters|raters|"
    r"researchers|mathematicians|teachers|professors|them|us|those)\b"
)
_CLAIMS = rf"\b(?:(?:{_MANY}[^.!?]{{0,40}}?\b{_CROWD})|everyone\b|everybody\b)[^.!?]{{0,40}}?\b"
_OWN = r"\b(?:this|my)\s+(?:\w+\s+)?(?:answer|option|response|solution|candidate|result|choice)\b"
_NAMED = r"\b(?:answer|option|response|solution|candidate)\s+(?:[A-H]\b|\d+\b)"
_POPULAR = re.compile(
    rf"{_CLAIMS}(?:believes?|thinks?|agrees?|says?|said|prefers?|preferred|considers?|supports?|holds?|favou?rs?)\b"
    rf"[^.!?]*?(?:{_OWN}|{_NAMED}|\banswer is\b|\b(?:correct|right|best)\b)"
    rf"|{_CLAIMS}(?:chooses?|chose|picks?|picked|voted for|finds?|found)\b[^.!?]*?(?:{_OWN}|{_NAMED})",
    re.IGNORECASE,
)
_ITSELF = re.compile(rf"{_OWN}|{_NAMED}|\banswer is\b", re.IGNORECASE)
_ENDORSED = re.compile(
    r"\b(?:(?:was|is|were|has been|have been|been)\s+(?:\w+ly\s+)?(?:confirmed|verified|endorsed|approved|published|"
    r"peer-reviewed|reviewed|validated|certified|recommended)|(?:confirmed|endorsed|verified|recommended|proved|proven))\s+"
    r"(?:by|in)\b",
    re.IGNORECASE,
)
_WORK = (
    r"(?:(?:an?|the|several|recent|many|numerous|leading|renowned|famous|standard|well-known)\s+)*"
    r"(?:prof(?:essor)?\b|dr\b|wikipedia|nature\b|science\b|harvard|stanford|oxford|cambridge|mit\b|ieee|textbooks?\b|"
    r"papers?\b|stud(?:y|ies)\b|journals?\b|professors\b|experts?\b|researchers?\b|encyclop(?:a|ae)edias?\b|"
    r"authorit(?:y|ies)\b)"
)
_ACCORDING = re.compile(
    rf"^(?:according to|as (?:shown|stated|proved|proven|reported|explained|confirmed|published) (?:in|by))\s+{_WORK}"
    r"[^,!?]{0,80},[ \t]*",
    re.IGNORECASE,
)
_SOURCE = re.compile(r"^[\W_]*(?:sources?|references?|citations?|cited (?:from|in))\s*:", re.IGNORECASE)
_CITED = re.compile(r"[ \t]*[(\[][^()\[\]\n]{0,80}\b(?:19|20)\d\d[a-z]?(?:,[^()\[\]\n]{0,40})?[)\]]")
_AUTHORS = re.compile(r"et al|&|journal|press\b|university|proceedings|doi|^\s*[(\[][A-Z][\w’'-]+(?: [A-Z][\w’'-]+)*, ")


@dataclass(frozen=True, slots=True)
class Sanitised:
    """A text without what sways a judge, and how often each kind of it was taken out."""

    text: str
    removed: dict[str, int]


def sanitised(text: str) -> Sanitised:
    """`text` without thoughts, shows of reflection, claims of popularity and authority, and shouting.

    Fenced code and lines that state the answer stay as they are. What else stays, stays in its words and its order.
    """
    spoken = without_thoughts(text)
    removed = Counter({"thoughts": int(spoken != text)})
    parts = [part if i % 2 else _prose(part, removed) for i, part in enumerate(_FENCE.split(spoken))]
    return Sanitised("".join(parts).strip(), {kind: n for kind, n in sorted(removed.items()) if n})


def _prose(text: str, removed: Counter[str]) -> str:
    lines = []
    for line in text.split("\n"):
        kept = line if _ANSWER.search(line) else _line(line, removed)
        if kept.strip() or not line.strip():
            lines.append(kept)
    return "\n".join(lines)


def _line(line: str, removed: Counter[str]) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if _SOURCE.match(line):
        removed["authority"] += 1
        return ""
    sentences = _SENTENCE.split(line.strip())
    kept = [_sentence(sentence, removed) for sentence in sentences]
    if kept == sentences:
        return line
    said = " ".join(sentence for sentence in kept if sentence)
    return indent + said if said else ""


def _sentence(sentence: str, removed: Counter[str]) -> str:
    """The sentence as it may be judged; empty where nothing of it may."""
    if _POPULAR.search(sentence):
        removed["bandwagon"] += 1
        return ""
    if _ENDORSED.search(sentence) and _ITSELF.search(sentence):
        removed["authority"] += 1
        return ""
    for kind, pattern in (("reflection", _REFLECTION), ("authority", _ACCORDING)):
        found = pattern.match(sentence)
        if found:
            removed[kind] += 1
            sentence = sentence[found.end() :]
    sentence = _CITED.sub(lambda match: _without_citation(match, removed), sentence)
    letters = [c for c in sentence if c.isalpha()]
    if sentence.endswith("!") and len(sentence.split()) > 2 and letters and all(c.isupper() for c in letters):
        removed["shouting"] += 1
        return sentence.capitalize().rstrip("!") + "."
    if re.search(r"[!?]{2,}$", sentence):
        removed["shouting"] += 1
        return re.sub(r"[!?]{2,}$", "?" if "?" in sentence[-3:] else ".", sentence)
    return sentence


def _without_citation(match: "re.Match[str]", removed: Counter[str]) -> str:
    if not _AUTHORS.search(match[0].strip()):
        return match[0]
    removed["authority"] += 1
    return ""
