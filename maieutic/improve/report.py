"""The report of a loop: what each round collected, kept, dropped and learnt from, and what it came to."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from maieutic.evals.report import GUESSING, beside_accuracy, told
from maieutic.improve import sources
from maieutic.improve.core import Improvement, Round
from maieutic.improve.measure import Measured
from maieutic.stats import Interval
from maieutic.tasks.guessing import skill

Versions = Sequence[tuple[str, dict[str, Measured]]]


def markdown(done: Improvement, command: str) -> str:
    """The report as Markdown."""
    parts = ["# Improvement", "", f"`{command}`", ""]
    parts += [f"In force: version {done.kept.number}, `{done.kept.model}`.", ""]
    parts += [f"{sentence}\n" for sentence in (done.ended, done.stopped) if sentence]
    found = versions(done)
    if found:
        parts += ["## Accuracy", "", *_accuracy(done, found), ""]
    for one in done.rounds:
        parts += [f"## Round {one.number}", "", *_round(done, one), ""]
    parts += [
        "Accuracy (pass@1) is over all samples at temperature 1, pass@k the share of questions that one of k samples "
        "got right, both with 95 % intervals over questions; tokens are prompt and completion, means a sample. The "
        "calibration error (ECE) is that of taking the share of the other samples that agree for a confidence. A "
        "version is kept where it is better on what it was trained for, and significantly worse on no older set, by "
        "95 % bootstrap intervals of the difference on the same questions. They are not corrected for the number of "
        "sets or rounds, and the same questions decide every round: measure what is kept on new ones before you say "
        "how good it is.",
        "",
    ]
    if _guessed(found):
        parts += [f"{GUESSING} It is told for pass@1; k guesses get more.", ""]
    return "\n".join(parts)


def as_json(done: Improvement, command: str) -> dict[str, Any]:
    """The same as one JSON object; shares by question are left to the versions' own files."""
    return {
        "command": command,
        "kept": asdict(done.kept),
        "ended": done.ended,
        "stopped": done.stopped,
        "first": None if done.first is None else _figures(done.first),
        "worst_older": {label: _json(worst(done, measured)) for label, measured in versions(done)},
        "rounds": [{**asdict(one), "after": None if one.after is None else _figures(one.after)} for one in done.rounds],
    }


def versions(done: Improvement) -> Versions:
    """Every version that was measured, with a word on what became of it."""
    found = [] if done.first is None else [("0", done.first)]
    for one in done.rounds:
        if one.after:
            found.append((f"{one.number}{'' if one.decision.promoted else ' (rolled back)'}", one.after))
    return found


def worst(done: Improvement, measured: dict[str, Measured]) -> Interval | None:
    """The lowest accuracy on older sets; None without any."""
    found = [one for source in done.plan.kept if (one := measured[source].accuracy) is not None]
    return min(found, key=lambda one: one.estimate, default=None)


def kind(done: Improvement, source: str) -> str:
    """What a set is measured for."""
    if source not in done.plan.held:
        return "older"
    return f"source {done.plan.held.index(source) + 1}"


def _guessed(found: Versions) -> bool:
    return any(told(one.guessing) for _, measured in found for one in measured.values())


def _accuracy(done: Improvement, found: Versions) -> list[str]:
    guessed = _guessed(found)
    head = ["version", "set", "", "n", "greedy", "pass@1", *(["guessing", "above chance"] if guessed else [])]
    head += [f"pass@{done.plan.k}", "tokens", "calibration error"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for label, measured in found:
        for source, one in measured.items():
            cells = [label, f"`{sources.label(source)}`", kind(done, source), f"{one.sampled.n} × {one.sampled.k}"]
            cells += [_share(one.greedy.accuracy), _share(one.accuracy)]
            cells += beside_accuracy(one.accuracy, one.guessing) if guessed else []
            cells += [_share(one.sampled.pass_at), f"{one.sampled.tokens:,.0f}", _error(one)]
            lines.append(f"| {' | '.join(cells)} |")
    if done.plan.older:
        told = [(label, worst(done, measured)) for label, measured in found]
        lines += ["", "Worst accuracy on older sets: " + "; ".join(_worst(label, one) for label, one in told) + "."]
    return lines


def _share(found: Interval | None) -> str:
    return "not scored" if found is None else found.percent()


def _error(measured: Measured) -> str:
    found = measured.agreement
    if found is None:
        return ""
    return f"{found.error.estimate:.3f} [{found.error.low:.3f}, {found.error.high:.3f}]"


def _worst(label: str, found: Interval | None) -> str:
    return f"version {label} {_share(found)}"


def _round(done: Improvement, one: Round) -> list[str]:
    verdict = "Promoted." if one.decision.promoted else "Rolled back."
    lines = [f"**{verdict}** {' '.join(one.decision.reasons)}", ""]
    lines.append(f"- Version {one.collected['version']} collected on `{one.collected['source']}`:")
    for graph in one.collected["graphs"]:
        outcomes = ", ".join(f"{n} {outcome.replace('_', ' ')}" for outcome, n in graph["outcomes"].items())
        failed = f", {graph['failed']} failed" if graph["failed"] else ""
        lines.append(f"  - `{graph['graph']}`: {graph['runs']} runs ({outcomes}{failed}), {graph['tokens']:,} tokens")
    lines += [f"- {line}" for line in _taught(done.plan.teacher, one.taught)]
    lines += [f"- Rows: {line}" for line in _made(one.rows["made"])]
    lines.append(f"- {one.rows['new']} new rows, and {one.rows['replayed']} older ones among them.")
    if one.trained is not None:
        lines.append(f"- Trained from version {one.trained['from']}: {_trained(one.trained)}.")
    changes = [f"`{sources.label(change.source)}` {change.in_words()}" for change in one.decision.changes]
    return lines + ([f"- Against the version before: {'; '.join(changes)}."] if changes else [])


def _taught(teacher: str | None, taught: Iterable[dict[str, Any]]) -> list[str]:
    lines = []
    for facts in taught:
        line = f"Teacher `{teacher}` for `{facts['recipe']}` of `{facts['graph']}`: {facts['replies']} replies"
        line += f", {facts['tokens']:,} tokens"
        if facts["student_replies"]:
            line += f"; of the student {facts['student_replies']} replies, {facts['student_tokens']:,} tokens"
        lines.append(line + (f"; {facts['open']} questions without a reply" if facts["open"] else ""))
    return lines


def _made(made: Iterable[dict[str, Any]]) -> list[str]:
    lines = []
    for facts in made:
        name = f"`{facts['recipe']}` of `{facts['graph']}`"
        if "why" in facts:
            lines.append(f"{name}: none. {facts['why']}")
            continue
        runs = _counts(facts["runs_dropped"])
        rows = _counts({**facts["rows_dropped"], "said already": facts["duplicate_rows"]})
        kept = f"{facts['runs_kept']} of {facts['runs_seen']} runs kept{f' (left out: {runs})' if runs else ''}"
        lines.append(f"{name}: {kept}; {facts['rows']} rows{f' (left out: {rows})' if rows else ''}")
    return lines


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items(), key=lambda item: -item[1]) if n)


def _trained(facts: dict[str, Any]) -> str:
    """What a trainer has told of its training, in its words."""
    told = [(name.replace("_", " "), value) for name, value in facts.items() if name != "from" and value is not None]
    return ", ".join(f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in told)


def _figures(measured: dict[str, Measured]) -> dict[str, Any]:
    return {
        source: {
            **{name: value for name, value in asdict(one).items() if name != "shares"},
            "above_chance": _json(skill(one.accuracy, one.guessing)),
        }
        for source, one in measured.items()
    }


def _json(found: Interval | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
