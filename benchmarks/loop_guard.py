"""The loop guard's errors: loops missed or noticed late, and texts taken for loops, the in-box model's among them.

    python benchmarks/loop_guard.py [--n 400] [--answers 400] [--seed 1]

`n` loops and `n` texts that repeat themselves for good reasons are generated from the seed, spread over their kinds,
and fed to the guard in pieces as a server would stream them. A loop is late by the tokens (four characters each)
between its beginning and the alarm. `answers` are answers of the in-box model to generated questions.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator

from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.loops import LoopDetector
from maieutic.stats import wilson
from maieutic.tasks.source import load_tasks
from maieutic.types import Request, Sampling

Make = Callable[[random.Random], str]
PER_TOKEN = 4
LOOP_LENGTH = 24_000  # characters: about what 6,000 tokens hold
WORDS = (
    "the sum number value of we is can see that each prime factor divides check first then next so equation left right"
    " term both sides let new old small large case holds since therefore given find total count pair digit root odd"
).split()
WAITS = (
    "Wait, let me check this again.",
    "Hmm, that doesn't look right, so I will start over from the beginning.",
    "But we have to make sure that the answer is correct.",
    "Alternatively, we could think of the problem in another way.",
    "So the answer is what we have found before, and this holds.",
)


def sentence(rng: random.Random) -> str:
    words = rng.choices(WORDS, k=rng.randint(5, 18))
    return " ".join(words).capitalize() + rng.choice(".,.?!:")


def prose(rng: random.Random, sentences: int) -> str:
    return " ".join(sentence(rng) for _ in range(sentences))


def forever(unit: str) -> str:
    return unit * (LOOP_LENGTH // len(unit) + 2)


def counted(rng: random.Random, line: Callable[[int], str]) -> str:
    start, lines, length = rng.randint(1, 90), [], 0
    while length < LOOP_LENGTH:
        lines.append(line(start + len(lines)))
        length += len(lines[-1])
    return "".join(lines)


def counted_sentence(rng: random.Random) -> str:
    text = rng.choice(WAITS)
    return counted(rng, lambda i: f"Step {i}: {text}\n")


def counted_twice(rng: random.Random) -> str:
    text = sentence(rng)
    return counted(rng, lambda i: f"Attempt {i}. {text} This was attempt {i} and it gives 12.\n\n")


LOOPS: dict[str, Make] = {
    "one sentence": lambda r: forever(f"{r.choice(WAITS)} "),
    "one line": lambda r: forever(f"{sentence(r)}\n"),
    "a cycle of sentences": lambda r: forever(f"{prose(r, r.randint(2, 6))} "),
    "a paragraph": lambda r: forever(f"{prose(r, r.randint(8, 20))}\n\n"),
    "a numbered sentence": counted_sentence,
    "a sentence with two counters": counted_twice,
    "a word": lambda r: forever(f"{r.choice(WORDS)} "),
    "letters": lambda r: forever("".join(r.choices("ahol", k=r.randint(1, 4)))),
    "digits": lambda r: forever(str(r.randint(0, 999))),
    "signs": lambda r: forever(r.choice(("-", "\\n ", "| ", "🙂", "\n", "=", "…", "\t\t"))),
    "a line of code": lambda r: forever(f"    x = solve(x, {r.randint(1, 9)})\n"),
    "an equation": lambda r: forever(f"So {r.choice('xyz')} = {r.randint(1, 99)}, {r.choice(('', 'right'))}\n"),
    "a row of JSON": lambda r: forever(f'{{"name": "{r.choice(WORDS)}", "value": {r.randint(1, 99)}}}, '),
    "a closing tag": lambda r: forever(r.choice(("</div>\n", "\\end{aligned}\n", "}\n"))),
}


def multiplication(rng: random.Random) -> str:
    a, b = rng.randint(10**7, 10**12), rng.randint(10**7, 10**12)
    lines, total = [], 0
    for place, digit in enumerate(reversed(str(b))):
        carry = 0
        for other in reversed(str(a)):
            value = int(other) * int(digit) + carry
            lines.append(f"{other} * {digit} + {carry} = {value}, write {value % 10}, carry {value // 10}")
            carry = value // 10
        total += a * int(digit) * 10**place
        lines.append(f"Row {place + 1}: {a} * {digit} = {a * int(digit)}, shifted by {place}; the sum is now {total}")
    return "\n".join(lines)


def trial_division(rng: random.Random) -> str:
    n = rng.randint(4_000, 12_000)
    tests = (f"{n} mod {d} = {n % d}, so {d} does not divide {n}." for d in range(3, int(n**0.5), 2) if n % d)
    return "\n".join(tests)


def song(rng: random.Random) -> str:
    refrain = "\n".join(sentence(rng) for _ in range(rng.randint(1, 4)))
    verses = ["\n".join(sentence(rng) for _ in range(4)) + f"\n\n{refrain}" for _ in range(rng.randint(4, 20))]
    return "\n\n".join([*verses, refrain, refrain, refrain])


def table(rng: random.Random, cell: Callable[[int, int], object]) -> str:
    columns, rows = rng.randint(2, 8), rng.randint(5, 50)
    head = "| " + " | ".join(rng.choices(WORDS, k=columns)) + " |\n" + "|---" * columns + "|\n"
    return head + "\n".join("| " + " | ".join(str(cell(i, j)) for j in range(columns)) + " |" for i in range(rows))


def plan(rng: random.Random) -> str:
    tasks = [" ".join(rng.choices(WORDS, k=rng.randint(3, 8))) for _ in range(3)]
    return "\n".join(f"Day {i}: {tasks[0] if i % 7 else tasks[1]}, then {tasks[2]}." for i in range(1, 91))


def program(rng: random.Random) -> str:
    lines = ["def main():"]
    for _ in range(rng.randint(3, 12)):
        kind = rng.randrange(4)
        if kind == 0:
            lines += ["    print()"] * rng.randint(1, 40)
        elif kind == 1:
            lines += [f"    assert f({i}) == {i * i}" for i in range(rng.randint(5, 60))]
        elif kind == 2:
            depth = rng.randint(3, 9)
            lines += ["    " * i + "if (x) {" for i in range(depth)]
            lines += ["    " * i + "}" for i in reversed(range(depth))]
        else:
            lines += [f"    {rng.choice(WORDS)} = {rng.choice(WORDS)}[{rng.randint(0, 9)}]" for _ in range(20)]
    return "\n".join(lines)


def records(rng: random.Random) -> str:
    role = rng.choice(WORDS)
    rows = (f'{{"id": {i}, "name": "user{i}", "active": true, "role": "{role}"}}' for i in range(rng.randint(5, 150)))
    return "[" + ",\n ".join(rows) + "]"


def matrix(rng: random.Random) -> str:
    size, value = rng.randint(2, 30), rng.choice("01")
    return "\n".join(" ".join(["0"] * i + [value] + ["0"] * (size - i - 1)) for i in range(size))


def rows(rng: random.Random) -> str:
    """Data that happens to be the same in every row."""
    a, b, c = rng.sample(WORDS, 3)
    row = rng.choice((f'{{"{a}": 0, "{b}": null}},', f"{a},{b},{c},0,0", f"- {a}: none", f"    {a}.append({b})"))
    return "\n".join([row] * rng.randint(2, 40))


def circling(rng: random.Random) -> str:
    """A thought that comes back to the same phrases, but not to nothing else."""
    return " ".join(f"{rng.choice(WAITS)} {prose(rng, rng.randint(1, 3))}" for _ in range(60))


TEXTS: dict[str, Make] = {
    "prose": lambda r: prose(r, 150),
    "a thought that keeps turning back": circling,
    "a long multiplication": multiplication,
    "a trial division": trial_division,
    "a poem or song with a refrain": song,
    "a table of numbers": lambda r: table(r, lambda i, j: (i + 1) * (j + 2)),
    "a table of yes and no": lambda r: table(r, lambda i, j: r.choice(("yes", "no"))),
    "a table where every cell is the same": lambda r: table(r, lambda i, j: "no"),
    "a list of numbers": lambda r: ", ".join(str(i) for i in range(r.randint(50, 900))),
    "a numbered list of words": lambda r: "\n".join(f"{i}. {r.choice(WORDS)}" for i in range(1, 200)),
    "numbers and one answer to all": lambda r: "\n".join(f"{i}: not prime" for i in range(4, 300, 2)),
    "a plan of ninety days": plan,
    "code with repeated lines": program,
    "a JSON array of records": records,
    "a JSON array of zeros": lambda r: "[" + ", ".join(["0"] * r.randint(10, 300)) + "]",
    "rows that are all the same": rows,
    "a matrix": matrix,
    "a periodic decimal": lambda r: f"1/{r.choice((3, 7, 9, 11))} = 0." + str(r.randint(1, 999)) * r.randint(10, 200),
    "lines across the page": lambda r: "\n\n".join(f"{prose(r, 2)}\n{r.choice('-=*~') * 80}" for _ in range(20)),
}


def corpus(makers: dict[str, Make], n: int, seed: int) -> Iterator[tuple[str, str]]:
    """`n` texts with their kinds, which take turns."""
    kinds = list(makers)
    for i in range(n):
        kind = kinds[i % len(kinds)]
        yield kind, makers[kind](random.Random(f"{seed}/{kind}/{i}"))


def alarm(text: str, rng: random.Random) -> int | None:
    """After how many characters the guard calls this text a loop; it comes in pieces of one to eight characters."""
    detector, at = LoopDetector(), 0
    while at < len(text):
        size = rng.randint(1, 8)
        if detector.feed(text[at : at + size]):
            return min(at + size, len(text))
        at += size
    return None


def measure_loops(n: int, seed: int) -> None:
    late: dict[str, list[float]] = {kind: [] for kind in LOOPS}
    missed = 0
    for kind, loop in corpus(LOOPS, n, seed):
        rng = random.Random(f"{seed}/{kind}/{len(late[kind])}/lead")
        lead = prose(rng, rng.randint(0, 40)) + "\n"
        at = alarm(lead + loop, rng)
        missed += at is None
        if at is not None:
            late[kind].append(max(0, at - len(lead)) / PER_TOKEN)
    print(f"loops noticed: {_share(n - missed, n)}; late by, in tokens (median, most):")
    for kind, tokens in late.items():
        if tokens:
            print(f"  {kind:36} {statistics.median(tokens):6.0f} {max(tokens):6.0f}   n={len(tokens)}")


def measure_texts(n: int, seed: int) -> None:
    alarms = [kind for kind, text in corpus(TEXTS, n, seed) if alarm(text, random.Random(seed)) is not None]
    print(f"texts of {len(TEXTS)} kinds taken for loops: {_share(len(alarms), n)} {sorted(set(alarms)) or ''}")


async def measure_answers(n: int, seed: int) -> None:
    """Half greedy, half at temperature 1, over the families of questions that the in-box model knows."""
    sources = ("chain_sum?max_terms=6&max_digits=2", "products?max_terms=2&max_digits=2", "leg_counting?max_animals=4")
    share = -(-n // len(sources))
    tasks = [task for source in sources for task in load_tasks(f"env:rg/{source}&n={share}&seed={seed}").tasks][:n]
    model = InBoxModel()

    async def ask(i: int, question: str) -> str:
        sampling = Sampling(temperature=float(i % 2), max_tokens=600, seed=seed + i)
        return (await model.sample(Request(({"role": "user", "content": question},), sampling))).text

    texts = await asyncio.gather(*(ask(i, task.question) for i, task in enumerate(tasks)))
    await model.close()
    alarms = sum(alarm(text, random.Random(seed)) is not None for text in texts)
    print(f"answers of the in-box model taken for loops: {_share(alarms, len(texts))}")


def measure_time(seed: int) -> None:
    text = prose(random.Random(seed), 20_000)
    started = time.process_time()
    alarm(text, random.Random(seed))
    seconds = time.process_time() - started
    print(f"CPU time: {seconds / len(text) * PER_TOKEN * 1e6:.1f} µs a token (prose of {len(text):,} characters)")


def _share(k: int, n: int) -> str:
    interval = wilson(k, n)
    return f"{k} of {n} (95 % interval {interval.low:.1%} to {interval.high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--answers", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    measure_loops(options.n, options.seed)
    measure_texts(options.n, options.seed)
    if options.answers:
        asyncio.run(measure_answers(options.answers, options.seed))
    measure_time(options.seed)


if __name__ == "__main__":
    main()
