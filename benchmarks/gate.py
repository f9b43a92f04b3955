"""The gate's search for leaks: what it drops of a disjoint split, and what it finds of planted questions.

    python benchmarks/gate.py [--rows 100000]

For each environment, a set of held-out questions is named, and two kinds of rows are looked through. Rows of the
split `train` have no question in common with the set: each one that is dropped is a loss. Rows made of the set's own
questions, as they are or dressed, are leaks: each one that leaves is a miss. The peer is the plain search of the GPT-3
paper and of lm-eval: a row goes when it shares a run of 13 words with the set, or holds a whole question of fewer.
Then rows a second and peak memory of the whole gate, each number of rows in a process of its own.
"""

import argparse
import json
import os
import platform
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

from maieutic.gate.benchmark import Benchmark
from maieutic.gate.contamination import ByWords
from maieutic.gate.sample import sample_of
from maieutic.gate.words import words
from maieutic.stats import wilson
from maieutic.tasks.source import load_tasks

RESULTS = Path(__file__).parent / "results" / "gate.md"
HELD, TRAINED, PLANTED = 200, 300, 100
SEED = 11
SOURCES = (
    "rg/chain_sum",
    "rg/leg_counting",
    "rg/gsm_symbolic",
    "rg/syllogism",
    "rg/family_relationships",
    "rg/calendar_arithmetic",
    "rg/spell_backward",
    "knights",
    "saturn",
    "web_of_lies",
    "goods_exchange",
    "minesweeper",
    "dyck",
    "graph_problem",
    "text_to_sql",
)
SPEED = "env:rg/chain_sum"
# Words that carry no content, and others that would do in their place.
OTHER = {
    **{"the": "this", "many": "much", "total": "all", "number": "count", "final": "last", "find": "determine"},
    **{"are": "were", "is": "was", "given": "provided", "following": "below", "these": "the", "when": "while"},
    **{"what": "which", "of": "from", "in": "within", "to": "toward", "consider": "take", "then": "next"},
}
LETTER = """Dear Anna, thank you for the parcel of 14 May, which took 9 days and had 2 holes in it when it came. I have
given the books to the school, and they put them into the room at the end of the hall, where nobody goes. How is the
garden? We had so much rain that the well is full, and I have to carry less than 40 steps now. """

Search = Callable[[str], bool]


def questions(source: str, split: str, n: int) -> list[str]:
    return [task.question for task in load_tasks(f"env:{source}?n={n}&split={split}&seed={SEED}").tasks]


def reworded(question: str) -> str:
    """Another opening, and other words in the place of those that carry no content."""
    said = re.sub(r"\b[a-z]+\b", lambda match: OTHER.get(match[0], match[0]), question)
    return f"Here is one for you to try. {said}"


DRESSES: dict[str, Callable[[str], str]] = {
    "exact": lambda question: question,
    "capitals and spaces": lambda question: re.sub(r"\s+", "  ", question.upper()),
    "prefix and suffix": lambda question: f"Task 17 of 20.\n\n{question}\n\nThink before you write anything.",
    "quoted in a text": lambda question: f"{LETTER}My son asks: {question} {LETTER}",
    "re-worded": reworded,
}


def ours(held: Sequence[str], rows: Sequence[str]) -> Search:
    made = Benchmark("held-out", "", list(held))
    for row in rows:
        made.learn(words(row))
    made.settle()
    looker = ByWords([made])
    return lambda text: looker(sample_of({"messages": [{"role": "user", "content": text}]}, "row")) is not None


def thirteen(held: Sequence[str]) -> Search:
    """Runs of 13 words, of fewer where a question has no more; case and punctuation don't count."""
    runs = {length: set[tuple[str, ...]]() for length in range(1, 14)}
    for question in held:
        split = plain_words(question)
        runs[min(13, len(split))].update(n_grams(split, min(13, len(split))))

    def found(text: str) -> bool:
        split = plain_words(text)
        return any(run in known for length, known in runs.items() if known for run in n_grams(split, length))

    return found


def plain_words(text: str) -> list[str]:
    return re.sub(r"[^\w\s]", " ", text.lower()).split()


def n_grams(split: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    return zip(*(split[start:] for start in range(length)), strict=False)


def share(found: int, n: int) -> str:
    return f"{found} of {n}: {wilson(found, n).percent()}"


def searched() -> tuple[list[str], Counter[str]]:
    lines, total = [], Counter[str]()
    for source in SOURCES:
        held, rows = questions(source, "test", HELD), questions(source, "train", TRAINED)
        sides = {"gate": ours(held, rows), "13": thirteen(held)}
        leaks = random.Random(SEED).sample(held, PLANTED)
        cells = [source]
        for name, search in sides.items():
            dropped = sum(map(search, rows))
            total.update({f"{name} dropped": dropped, f"{name} rows": len(rows)})
            found = {dress: sum(search(worn(leak)) for leak in leaks) for dress, worn in DRESSES.items()}
            total.update({f"{name} {dress}": number for dress, number in found.items()})
            cells += [f"{dropped}/{len(rows)}", " / ".join(map(str, found.values()))]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines, total


def side(rows: int) -> None:
    """One gate over so many rows of a template, against a set of it: prints its rows a second and its peak in MiB."""
    from maieutic.gate.gate import gate
    from maieutic.gate.rules import Rules

    source = f"{SPEED}?min_terms=3&max_terms=6&min_digits=2&max_digits=4"
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "rows.jsonl"
        chance = random.Random(SEED)
        with file.open("w") as lines:
            for _ in range(rows):
                terms = [chance.randrange(10, 9999) for _ in range(chance.randrange(3, 7))]
                asked = f"State the final answer to the following arithmetic problem: {' + '.join(map(str, terms))} ="
                said = f"I add them one after the other. Answer: {sum(terms)}"
                message = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
                lines.write(json.dumps({"messages": message}) + "\n")
        started = time.perf_counter()
        held = f"{source}&n={HELD}&split=test&seed={SEED}"
        report = gate([file], Path(work) / "out.jsonl", Rules(against=(("held-out", held),)))
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rate": rows / seconds, "peak": peak, "kept": report.rows_out}))


def speeds(most: int) -> Iterator[str]:
    for rows in (most // 10, most):
        command = [sys.executable, __file__, "--side", str(rows)]
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        yield f"| {rows:,} | {said['rate']:.0f} | {said['peak']:.0f} | {said['kept']:,} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        return side(asked.side)
    lines, total = searched()
    planted = PLANTED * len(SOURCES)
    both = ("gate", "13")
    dropped = " | ".join(share(total[f"{s} dropped"], total[f"{s} rows"]) for s in both)
    summary = [f"| rows of a disjoint split dropped | {dropped} |"]
    summary += [f"| found: {d} | {' | '.join(share(total[f'{s} {d}'], planted) for s in both)} |" for d in DRESSES]
    text = "\n".join(
        [
            "# The gate's search for leaks",
            "",
            "| over all environments | the gate | runs of 13 words (peer) |",
            "|-|-|-|",
            *summary,
            "",
            f"Of each environment {HELD} held-out questions are named. Dropped: of {TRAINED} rows of the split "
            f"`train`, none of which is in the set. Found: of {PLANTED} of the set's questions, {', '.join(DRESSES)}.",
            "",
            "| environment | gate: dropped | gate: found | 13 words: dropped | 13 words: found |",
            "|-|-|-|-|-|",
            *lines,
            "",
            f"The whole gate against {HELD} questions of `{SPEED}`, over rows of the same template:",
            "",
            "| rows | rows a second | peak MiB | rows kept |",
            "|-|-|-|-|",
            *speeds(asked.rows),
            "",
            f"`python benchmarks/gate.py --rows {asked.rows}`: {date.today()}, Python {platform.python_version()}, "
            f"{os.cpu_count()} cores shared with others. Intervals are Wilson's at 95%.",
        ]
    )
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
