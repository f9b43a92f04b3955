"""Reading a question of the families back into the problem that it asks: what `draw` writes, in all its wordings."""

import re

from maieutic.in_box.families import Family, Problem, Term, legs_of

_NUMBER = r"-?\d+"
_SUM = rf"(?P<sum>{_NUMBER}(?: ?[+-] ?{_NUMBER})+)"
_PRODUCT = rf"(?P<product>{_NUMBER} ?[*×x] ?{_NUMBER})"
_WORDINGS = (
    rf"State the final answer to the following arithmetic problem: {_SUM} =",
    rf"Solve the following multiplication: {_PRODUCT}\. Give only the result as your final answer\.?",
    rf"(?:what is |calculate |compute |how much is )?(?:{_SUM}|{_PRODUCT})(?: =)? ?[?.]?",
)
_QUESTIONS = [re.compile(wording, re.IGNORECASE) for wording in _WORDINGS]
_LEGS = re.compile(r"how many legs are there in total if you have (?P<animals>\d[^?]*)\?", re.IGNORECASE)
_COUNTED = re.compile(r"(\d+) ([a-z][a-z ]*)")
_LATER = re.compile(rf"([+-]) ?({_NUMBER})")


def problem_of(question: str) -> Problem | None:
    """The problem that a question of sums, products or legs asks; None for any other.

    Raises MissingExtra where legs are to be counted and reasoning-gym, which knows how many there are, isn't there.
    """
    text = " ".join(question.split())
    if counted := _LEGS.search(text):
        return _legs(question, counted["animals"])
    for wording in _QUESTIONS:
        if (found := wording.fullmatch(text)) is None:
            continue
        fields = found.groupdict()
        if fields.get("sum"):
            return _problem("chain_sum", question, _terms(fields["sum"]))
        left, right = (int(number) for number in re.split(r" ?[*×x] ?", fields["product"]))
        return _problem("products", question, (Term(left), Term(right)))
    return None


def _terms(text: str) -> tuple[Term, ...]:
    first = re.match(_NUMBER, text)
    assert first is not None
    later = (Term(int(value), op) for op, value in _LATER.findall(text[first.end() :]))
    return (Term(int(first[0])), *later)


def _legs(question: str, listed: str) -> Problem | None:
    """None where an animal is named that has no number of legs, or the list is no plain one."""
    known = legs_of()
    found = []
    for part in re.split(r", (?:and )?| and ", listed):
        counted = _COUNTED.fullmatch(part.strip())
        if counted is None:
            return None
        name = counted[2] if counted[2] in known else counted[2].removesuffix("s")
        if name not in known:
            return None
        found.append(Term(int(counted[1]), each=known[name], thing=name))
    return _problem("leg_counting", question, tuple(found))


def _problem(family: Family, question: str, terms: tuple[Term, ...]) -> Problem:
    match family:
        case "chain_sum":
            total = sum(term.value if term.op == "+" else -term.value for term in terms)
        case "products":
            total = terms[0].value * terms[1].value
        case _:
            total = sum(term.value * term.each for term in terms)
    return Problem(family, question, str(total), terms)
