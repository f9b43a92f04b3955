"""The `Gate` noun: rows of any number through filters that each give a reason, into what may leave and what stays.

Rows pass one by one, and what has to be remembered of them lies in temporary files: memory doesn't grow with their
number. The same rows and rules give the same bytes. Nothing appears under the asked-for name until it is complete.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import file_digest
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from maieutic.errors import TraceError, UserError
from maieutic.gate.benchmark import Benchmark
from maieutic.gate.card import cards
from maieutic.gate.contamination import ByMeaning, ByWords
from maieutic.gate.difficulty import Difficulty
from maieutic.gate.duplicates import Exact, Near
from maieutic.gate.endings import Cut, Loop
from maieutic.gate.licence import Licence
from maieutic.gate.redaction import Redactor
from maieutic.gate.rules import Rules
from maieutic.gate.sample import Sample, sample_of
from maieutic.gate.sieve import Sieve
from maieutic.gate.tokenizer import decoder
from maieutic.gate.words import words
from maieutic.recipes.export import export
from maieutic.recipes.places import Place, brought, placed
from maieutic.recipes.recipe import Row
from maieutic.recipes.storage import beside, card_of, kind_of, remove, store
from maieutic.trace.payload import dump, parse
from maieutic.trace.reader import TraceReader
from maieutic.trace.segment import list_segments

UNREADABLE, IDS = "unreadable", "not to be redacted"


class Filter(Protocol):
    """Why a sample stays behind, in words that begin with the filter's name or say it; None where it may pass."""

    name: str

    def __call__(self, sample: Sample) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Making:
    """How folders of traces become rows: recipe, its settings, format, and where the tasks are from."""

    recipe: str = "solved"
    format: str = "openai"
    settings: Mapping[str, Any] = field(default_factory=dict)
    tasks: str | None = None


@dataclass(slots=True)
class GateReport:
    """What came, what left, and what stayed behind, by filter. `dropped_file` names every row that stayed, and why.

    `redacted` are the values replaced, by kind, `redacted_rows` the rows that had some. `notes` are sentences, `facts`
    is what the card says. Where rows went to a URL, it is in `url`, and the paths were here on the way alone.
    """

    out: Path
    card: Path
    dropped_file: Path
    url: str | None = None
    rows_in: int = 0
    rows_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    redacted_rows: int = 0
    sources: list[dict[str, Any]] = field(default_factory=list)
    against: list[dict[str, Any]] = field(default_factory=list)
    licences: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """Where `out`, or what stands beside it, is to be found: a path, or a URL."""
        return Place(self.out, self.url).named(path)


@dataclass(frozen=True, slots=True)
class _Source:
    """What was given, as it was named, and where it lies on this machine."""

    named: str
    path: Path

    @property
    def name(self) -> str:
        return self.named.rstrip("/").rpartition("/")[2]


def gate(
    sources: Sequence[Path | str],
    out: Path | str,
    rules: Rules | None = None,
    making: Making | None = None,
    *,
    kind: str | None = None,
    command: str = "",
) -> GateReport:
    """Let the rows of `sources` (JSONL files, folders of traces) pass to `out`; write a card, and what stayed behind.

    All of them may be URLs that fsspec knows, as in `export`. `kind` is as in `export`. `command` is written into the
    card. Raises UserError where nothing may leave, where a source can't be read, or where rows of token ids come
    without their tokenizer; then nothing is left behind.
    """
    rules = rules or Rules()
    with placed(out, kind) as place, brought(sources) as paths:
        found = [_Source(str(named), path) for named, path in zip(sources, paths, strict=True)]
        return _gate(found, place, rules, making or Making(), kind, command)


def _gate(
    sources: Sequence[_Source], place: Place, rules: Rules, making: Making, kind: str | None, command: str
) -> GateReport:
    out = place.path
    form = kind_of(out, kind)
    report = GateReport(out, card_of(out, form), out.with_name(out.name + ".dropped.jsonl"), place.url)
    line = _Line(rules, report)
    kept, dropped = beside(out), beside(report.dropped_file)
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as work:
            with kept.open("wb") as leaving, dropped.open("wb") as staying:
                files = [_file(source, Path(work) / f"{n}.jsonl", line, making) for n, source in enumerate(sources)]
                line.learn(sources, files)
                for source, file in zip(sources, files, strict=True):
                    _pass(_lines(file), source, line, leaving, staying)
                leaving.flush()
                os.fsync(leaving.fileno())
        line.close()
        if report.rows_out == 0:
            raise UserError(_why_empty(report))
        store(kept, out, form, partial(cards, report, form, rules, command))
        os.replace(dropped, report.dropped_file)
        report.facts = json.loads(report.card.read_text("utf-8"))
    except OSError as error:
        raise UserError(
            f"Rows can't be taken to {place.url or out} ({error.strerror}): give another file, or make room for it."
        ) from error
    finally:
        remove(kept)
        remove(dropped)
    return report


class _Line:
    """The filters in their order: what is cheap and sure comes first, duplicates last, among what would leave."""

    def __init__(self, rules: Rules, report: GateReport) -> None:
        self.report = report
        self.decode = decoder(rules.tokenizer)
        self.endings = rules.endings
        self.bare = 0
        self.sets = [Benchmark.load(name, source) for name, source in rules.against]
        self.licence = Licence(rules.licence, rules.allowed)
        self.difficulty = Difficulty(*rules.difficulty) if rules.difficulty is not None else None
        self.redactor = Redactor(rules.secrets, rules.personal)
        self.before: list[Filter] = [self.licence]
        if self.difficulty is not None:
            self.before.append(self.difficulty)
        if rules.endings:
            self.before += [Cut(), Loop()]
        self.lookers: list[ByWords | ByMeaning] = [ByWords(self.sets)] if self.sets else []
        if self.sets and rules.embedder:
            from maieutic.tools.retrieval.embedder import find_embedder

            self.lookers.append(ByMeaning(self.sets, find_embedder(rules.embedder), rules.alike))
        self.before += self.lookers
        self.after: list[Filter] = [Exact()]
        if rules.near is not None:
            self.after.append(Near(rules.near))

    def learn(self, sources: Sequence[_Source], files: Sequence[Path]) -> None:
        """What the rows' questions share with the benchmarks' is a template's wording, and no evidence."""
        for source, file in zip(sources, files, strict=True) if self.sets else ():
            for number, text in _lines(file):
                with suppress(ValueError, TraceError, KeyError, TypeError, AttributeError, IndexError):  # told later
                    sample = sample_of(parse(text), f"{source.name}:{number}", self.decode)
                    for asked, one in product(sample.asked, self.sets):
                        one.learn(words(asked))
        for one in self.sets:
            one.settle()

    def look(self, row: Row, place: str) -> tuple[Row | None, str, str]:
        """The row that may leave; or None, the filter's name and the reason."""
        sample = sample_of(row, place, self.decode)
        if sample.bare and not any(text.strip() for text in sample.said):
            return None, UNREADABLE, f"{UNREADABLE}: of no known format, and without text"
        self.bare += sample.bare
        for one in self.before:
            if reason := one(sample):
                return None, one.name, reason
        clean, found = self.redactor.row(row) if not sample.has_ids else self._found_beside_ids(sample)
        if found and sample.has_ids:
            kinds = ", ".join(sorted(found))
            return None, IDS, f"{IDS}: {kinds} in token ids, which would stay when the text is replaced"
        if found:
            sample = sample_of(clean, place, self.decode)
        for one in self.after:
            if reason := one(sample):
                return None, one.name, reason
        self.licence.kept(sample)
        self.report.redacted.update(found)
        self.report.redacted_rows += bool(found)
        return clean, "", ""

    def close(self) -> None:
        """Put what the filters have counted into the report."""
        report = self.report
        report.licences = self.licence.counts
        report.against = [
            {
                "name": one.name,
                "source": one.source,
                "questions": len(one.questions),
                "questions_of_a_template": one.templated,
                "rows_dropped": sum(found.counts[one.name] for found in self.lookers),
            }
            for one in self.sets
        ]
        if self.bare:
            report.notes.append(f"{self.bare} rows are of no known format: all their text was taken for said.")
        if self.difficulty is not None and self.difficulty.unknown:
            report.notes.append(f"The difficulty of {self.difficulty.unknown} runs or rows is not known: they passed.")

    def _found_beside_ids(self, sample: Sample) -> tuple[Row, Counter[str]]:
        _, found = self.redactor.row({"row": sample.row, "texts": [*sample.asked, *sample.said]})
        return sample.row, found


def _file(source: _Source, temporary: Path, line: _Line, making: Making) -> Path:
    """The rows of a source; a folder of traces is exported into a temporary file."""
    path = source.path
    facts: dict[str, Any] = {"source": source.named}
    line.report.sources.append(facts)
    if path.is_dir():
        facts["export"] = _exported(source, temporary, line, making)
        file = temporary
    elif path.is_file():
        file = path
        with suppress(OSError, ValueError):
            facts["card"] = json.loads(card_of(path, "jsonl").read_text("utf-8"))
    else:
        raise UserError(f"There is nothing at {source.named}: give JSONL files of rows, or folders of traces.")
    with file.open("rb") as rows:
        facts["sha256"] = file_digest(rows, "sha256").hexdigest()
    return file


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, from 1."""
    with file.open("rb") as lines:
        for number, text in enumerate(lines, 1):
            if text.strip():
                yield number, text


def _exported(source: _Source, out: Path, line: _Line, making: Making) -> dict[str, Any]:
    path = source.path
    below = path / "traces" if (path / "traces").is_dir() else path
    if not list_segments(below):
        raise UserError(f"{source.named} is a folder without traces: give one that has some, or JSONL files of rows.")
    if line.difficulty is not None:
        with TraceReader(path) as reader:
            line.difficulty.learn(reader)
    try:
        report = export(
            path,
            making.recipe,
            making.format,
            out,
            making.settings,
            kind="jsonl",
            tasks=making.tasks,
            sieve=Sieve(line.difficulty, line.endings),
        )
    except UserError as error:
        if isinstance(error.__cause__, OSError):  # about a file that nobody asked for
            raise error.__cause__ from None
        raise
    card: dict[str, Any] = json.loads(report.card.read_text("utf-8"))
    made = {name: card[name] for name in card if name not in ("command", "sha256")}
    return {**made, "tasks": making.tasks, "settings": dict(making.settings)}


def _pass(
    rows: Iterator[tuple[int, bytes]], source: _Source, line: _Line, leaving: BinaryIO, staying: BinaryIO
) -> None:
    report = line.report
    for number, text in rows:
        report.rows_in += 1
        place = f"{source.name}:{number}"
        try:
            clean, name, reason = line.look(parse(text), place)
        except (ValueError, TraceError):
            clean, name, reason = None, UNREADABLE, f"{UNREADABLE}: not a JSON object"
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            clean, name, reason = None, UNREADABLE, f"{UNREADABLE}: not of a known format ({type(error).__name__})"
        if clean is not None:
            report.rows_out += 1
            leaving.write(dump(clean) + b"\n")
            continue
        report.dropped[name] += 1
        staying.write(dump({"source": source.named, "row": number, "filter": name, "reason": reason}) + b"\n")


def _why_empty(report: GateReport) -> str:
    if not report.rows_in:
        return "There are no rows in what was given: nothing may leave."
    reasons = ", ".join(f"{number} {name}" for name, number in report.dropped.most_common())
    return f"None of {report.rows_in} rows may leave ({reasons}): no file was written."
