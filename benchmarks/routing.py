"""Routing by confidence: what a cascade saves beside its dearer stage, and beside routing at random.

    python benchmarks/routing.py [--n 300] [--dev 100] [--seed 41] [--model in-box] [--out DIR]

Four kinds of questions. Every stage answers every question of the dev and the test split by itself, and says how sure
it is. For each cascade of two stages the threshold is chosen on dev: the one that costs the fewest tokens while as many
are right as with the dearer stage alone. On test the cascade is composed of what its stages have answered, at that
threshold and at others; at the chosen one it is also run as it is, which must come to the same. Random routing sends
the same share of questions on, drawn by lot: its figures are exact means. A second start with the same `--out` goes on.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean

from levels import SAID, questions
from staged import NEVER, STAGES, Answers, Seen, cascade, stage

from maieutic.stats import Interval, compare_paired, paired_bootstrap, wilson

RESULTS = Path(__file__).parent / "results" / "routing.md"
SINGLE = ("greedy", "vote of 5", "tool", "vote of 3 with the tool")
CASCADES = (
    ("greedy", "vote of 5", "min_logprob"),
    ("greedy", "vote of 5", "mean_logprob"),
    ("greedy", "tool", "min_logprob"),
    ("greedy", "tool", "mean_logprob"),
    ("greedy", "vote of 3 with the tool", "min_logprob"),
    ("greedy", "vote of 3 with the tool", "mean_logprob"),
    ("vote of 5", "tool", "agreement"),
)
RUN = {
    ("greedy", "tool", "mean_logprob"),
    ("greedy", "vote of 3 with the tool", "mean_logprob"),
}  # as they are, beside what they are composed of
SHARES = (0.1, 0.2, 0.3, 0.4)  # of the dev questions that go on, at the other thresholds
MARGIN = 0.02  # an accuracy is equal where the whole interval of its difference lies above less than this


@dataclass(frozen=True, slots=True)
class Routed:
    """A cascade over some questions at one threshold: what comes of each question, and the share that goes on.

    `random` is what comes of each in the mean where as many go on, drawn by lot.
    """

    right: list[bool]
    tokens: list[float]
    completion: float
    share: float
    random: list[float]


@dataclass(slots=True)
class Row:
    """A cascade's figures at one threshold on the test split, less those of its dearer stage and of random routing."""

    cascade: str
    threshold: float
    chosen: bool
    share: float
    accuracy: Interval
    tokens: float
    completion: float
    points: Interval
    spent: Interval
    dearer: float
    over_random: Interval
    same: str = ""
    p_value: float = field(default=1.0)

    @property
    def saved(self) -> float:
        """The share of the dearer stage's tokens that was not needed."""
        return -self.spent.estimate / self.dearer


def routed(first: Answers, second: Answers, method: str, threshold: float) -> Routed:
    """The cascade of two stages, composed of what each has answered; an unreadable answer takes no answer's place."""
    tasks = sorted(first)
    both = [(first[t], second[t]) for t in tasks]
    on = [_goes_on(a, method, threshold) for a, _ in both]
    after = [b.right if b.answered else a.right for a, b in both]
    share = mean(on)
    return Routed(
        [late if gone else a.right for (a, _), late, gone in zip(both, after, on, strict=True)],
        [float(a.tokens + gone * b.tokens) for (a, b), gone in zip(both, on, strict=True)],
        mean(a.completion + gone * b.completion for (a, b), gone in zip(both, on, strict=True)),
        share,
        [(1 - share) * a.right + share * late for (a, _), late in zip(both, after, strict=True)],
    )


def _goes_on(seen: Seen, method: str, threshold: float) -> bool:
    value = seen.sure.get(method)
    return value is None or value < threshold


def candidates(first: Answers, method: str) -> list[float]:
    """Every threshold that sends another set of questions on."""
    known = {value for seen in first.values() if (value := seen.sure.get(method)) is not None}
    return sorted(known | {0.0, NEVER})


def choose(first: Answers, second: Answers, method: str) -> float:
    """The threshold with the fewest tokens at which as many are right as with the second stage alone, on these."""
    wanted = sum(seen.right for seen in second.values())
    found = {t: routed(first, second, method, t) for t in candidates(first, method)}
    able = [t for t, one in found.items() if sum(one.right) >= wanted]
    return min(able or [NEVER], key=lambda t: mean(found[t].tokens))


def at_share(first: Answers, method: str, share: float) -> float:
    """The threshold at which about this share of the questions goes on."""

    def away(threshold: float) -> float:
        return abs(mean(_goes_on(seen, method, threshold) for seen in first.values()) - share)

    return min(candidates(first, method), key=away)


def row(names: tuple[str, str, str], test: Mapping[str, Answers], threshold: float, chosen: bool) -> Row:
    first, second = test[names[0]], test[names[1]]
    found, tasks = routed(first, second, names[2], threshold), sorted(first)
    dear = [second[t] for t in tasks]
    compared = compare_paired([seen.right for seen in dear], found.right)
    return Row(
        cascade=f"{names[0]} → {names[1]}, {names[2]}",
        threshold=threshold,
        chosen=chosen,
        share=found.share,
        accuracy=wilson(sum(found.right), len(tasks)),
        tokens=mean(found.tokens),
        completion=found.completion,
        points=compared.difference,
        spent=paired_bootstrap([float(seen.tokens) for seen in dear], found.tokens),
        dearer=mean(seen.tokens for seen in dear),
        over_random=paired_bootstrap(found.random, [float(right) for right in found.right]),
        p_value=compared.p_value,
    )


async def measure(asked: argparse.Namespace, out: Path) -> tuple[dict[str, Answers], list[Row]]:
    """All single stages on both splits; every cascade at its thresholds, and some as they run."""
    dev, test = {}, {}
    tasks = questions("test", asked.n, asked.seed)
    for name in SINGLE:
        dev[name] = await stage(name, "dev", questions("dev", asked.dev, asked.seed), out, asked.model, asked.seed)
        test[name] = await stage(name, "test", tasks, out, asked.model, asked.seed)
    rows = []
    for names in CASCADES:
        one, two, method = names
        chosen = choose(dev[one], dev[two], method)
        thresholds = sorted({chosen, *(at_share(dev[one], method, share) for share in SHARES)})
        rows += [row(names, test, threshold, threshold == chosen) for threshold in thresholds]
        if names in RUN:
            settings = {"stages": [*STAGES[one]["stages"], *STAGES[two]["stages"]], "threshold": chosen}
            settings |= {} if method == "agreement" else {"rater": method.replace("_", "-")}
            ran = await cascade(f"test-{one}-{two}".replace(" ", "-"), tasks, out, asked.model, asked.seed, settings)
            composed = routed(test[one], test[two], method, chosen)
            alike = sum(
                (ran[t].right, ran[t].tokens) == outcome
                for t, outcome in zip(sorted(ran), zip(composed.right, composed.tokens, strict=True), strict=True)
            )
            next(r for r in reversed(rows) if r.chosen).same = f"{alike:,} of {len(ran):,}"
    return test, rows


def stages_table(test: Mapping[str, Answers]) -> list[str]:
    lines = ["| stage | n | accuracy | tokens | written by the model |", "|---|---|---|---|---|"]
    for name, seen in test.items():
        right, n = sum(one.right for one in seen.values()), len(seen)
        tokens, written = mean(one.tokens for one in seen.values()), mean(one.completion for one in seen.values())
        lines.append(f"| {name} | {n:,} | {wilson(right, n).percent()} | {tokens:.0f} | {written:.0f} |")
    return lines


def rows_table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| cascade | threshold | go on | accuracy | tokens | written | beside the dearer stage | its tokens "
        "| beside random |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        threshold = f"**{r.threshold:.4g}**" if r.chosen else f"{r.threshold:.4g}"
        spent = f"{100 * r.spent.estimate / r.dearer:+.1f} % [{100 * r.spent.low / r.dearer:+.1f}, "
        spent += f"{100 * r.spent.high / r.dearer:+.1f}]"
        cells = [
            r.cascade,
            threshold,
            f"{100 * r.share:.1f} %",
            r.accuracy.percent(),
            f"{r.tokens:.0f}",
            f"{r.completion:.0f}",
        ]
        lines.append(f"| {' | '.join([*cells, _points(r.points), spent, _points(r.over_random)])} |")
    return lines


def verdicts(rows: Sequence[Row]) -> list[str]:
    """What each cascade comes to at the threshold that was chosen on dev."""
    lines = []
    for r in (one for one in rows if one.chosen):
        equal = r.points.low >= -MARGIN
        spent = (
            "saves"
            if r.spent.high < 0
            else "costs more by"
            if r.spent.low > 0
            else "is not shown to save; it differs by"
        )
        said = f"{spent} {abs(100 * r.saved):.1f} % of the tokens of its dearer stage, {_points(r.points)}, "
        said += "as accurate" if equal else "not shown to be as accurate"
        ran = f"; run as it is, the same answer and tokens for {r.same} questions" if r.same else ""
        lines.append(f"- {r.cascade}: {said}{ran}.")
    return lines


def _points(interval: Interval) -> str:
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.estimate:+.1f} points [{low:+.1f}, {high:+.1f}]"


def as_text(command: str, test: Mapping[str, Answers], rows: Sequence[Row]) -> str:
    parts = [
        "# Routing by confidence",
        f"`{command}`",
        f"Questions: {SAID}; as many of each, of the test split. Thresholds are chosen on the dev split. All of it is "
        "greedy but votes, which are at temperature 1. Accuracies with 95 % Wilson intervals; tokens in the mean a "
        "question, prompts included, and those of them that the model wrote. Differences are paired by question, with "
        "95 % bootstrap intervals.",
        "## Single stages",
        "\n".join(stages_table(test)),
        "## Cascades",
        "In bold the threshold that was chosen on dev: the cheapest at which as many are right as with the dearer "
        "stage alone (nothing reaches 2). Beside random: less what comes of sending the same share on by lot.",
        "\n".join(rows_table(rows)),
        "## What comes of it",
        "At the chosen thresholds. As accurate: the whole interval of the difference lies above "
        f"{-100 * MARGIN:.0f} points.",
        "\n".join(verdicts(rows)),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="questions of each kind of the test split")
    parser.add_argument("--dev", type=int, default=100, help="questions of each kind of the dev split")
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--model", default="in-box")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that the tables are written to")
    asked = parser.parse_args()
    command = f"python benchmarks/routing.py --n {asked.n} --dev {asked.dev} --seed {asked.seed} --model {asked.model}"
    with tempfile.TemporaryDirectory() as directory:
        test, rows = asyncio.run(measure(asked, asked.out or Path(directory)))
    text = as_text(command, test, rows)
    asked.results.write_text(text)
    asked.results.with_suffix(".json").write_text(
        json.dumps({"command": command, "rows": [asdict(r) for r in rows]}, indent=1) + "\n"
    )
    print(text)


if __name__ == "__main__":
    main()
