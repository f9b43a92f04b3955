"""The work of `maieutic index` and `maieutic search`."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maieutic.terminal.wording import printable
from maieutic.tools.retrieval.index import Hit, Index, Way
from maieutic.tools.retrieval.indexing import Report, Wanted, update_index
from maieutic.tools.retrieval.reranking import CrossEncoder, reranked
from maieutic.tools.retrieval.shelf import Shelf
from maieutic.tools.retrieval.store import Store

SHOWN = 20
EVERY = 10.0
PREVIEW = 300  # characters of a passage on a line of a terminal

Show = Callable[[int, int], None]


def run_indexing(name: str, wanted: Wanted, as_json: bool, quiet: bool) -> None:
    """Index, and print what came of it. Raises UserError where it can't be done as asked."""
    for library in ("pypdf", "trafilatura"):  # what they have to say is in the report
        logging.getLogger(library).setLevel(logging.CRITICAL)
    shelf = Shelf()
    folder = shelf.place(name) if wanted.paths else shelf.find(name)
    with _progress(quiet) as show:
        report = update_index(folder, wanted, show)
    if as_json:
        print(json.dumps({"name": name, **asdict(report)}, ensure_ascii=False))
    else:
        print("\n".join(in_words(name, report)))


def in_words(name: str, report: Report) -> list[str]:
    """What was done, and every file that needs a word."""
    done = [
        f"{number:,} {what}"
        for number, what in (
            (report.added, "new"),
            (report.changed, "changed"),
            (report.removed, "removed"),
            (report.unchanged, "unchanged"),
        )
        if number
    ]
    lines = [
        f"{name}: {_count(report.documents, 'document')}, {_count(report.pieces, 'passage')}"
        f" ({', '.join(done) or 'nothing'}); embedder {report.embedder}"
    ]
    for said, problems in (("left out", report.left_out), ("read with a caveat", report.notes)):
        if not problems:
            continue
        verb = "was" if len(problems) == 1 else "were"
        lines.append(f"{_count(len(problems), 'path')} {verb} {said}:")
        lines += [printable(f"  {path} {reason}.") for path, reason in list(problems.items())[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"  and {len(problems) - SHOWN:,} more; --json has all of them.")
    return lines


def list_indexes(as_json: bool) -> None:
    """Print what indexes there are, and what is in them."""
    shelf = Shelf()
    described = {name: _describe(shelf.find(name)) for name in shelf.names()}
    if as_json:
        print(json.dumps(described, ensure_ascii=False))
        return
    width = max(map(len, described), default=0)
    for name, facts in described.items():
        if facts["documents"] is None:
            print(f"{name:<{width}}  not finished")
        else:
            sizes = f"{_count(facts['documents'], 'document')}, {_count(facts['passages'], 'passage')}"
            print(f"{name:<{width}}  {sizes}, {facts['embedder']}, {facts['vectors']}; {', '.join(facts['paths'])}")


def _describe(folder: Path) -> dict[str, Any]:
    store = Store(folder)
    try:
        published = store.published()
        facts: dict[str, Any] = {"paths": store.roots(), "folder": str(folder)}
        if published is None:
            return {**facts, "documents": None, "passages": None, "embedder": None, "vectors": None}
        documents, pieces = store.counts(published[0])
        made = {"embedder": published[1].embedder.name, "vectors": published[1].vectors}
        return {**facts, "documents": documents, "passages": pieces, **made}
    finally:
        store.close()


def run_search(name: str, query: str, k: int, way: Way, rerank: str | None, as_json: bool) -> None:
    """Search, and print the passages. Raises UserError and ModelError."""
    opened = Index.named(name)
    try:
        hits = reranked(opened, query, k, CrossEncoder(rerank)) if rerank else opened.search(query, k, way)
        if as_json:
            rows = [
                {**asdict(hit.passage), "score": hit.score, "dense": hit.dense, "lexical": hit.lexical} for hit in hits
            ]
            print(json.dumps(rows, ensure_ascii=False))
        elif hits:
            print("\n\n".join(_shown(number, hit) for number, hit in enumerate(hits, 1)))
        else:
            print("Nothing was found.")
    finally:
        opened.close()


def _shown(number: int, hit: Hit) -> str:
    passage = hit.passage
    page = f", page {passage.page}" if passage.page is not None else ""
    ranks = [f"{what} {rank}" for what, rank in (("dense", hit.dense), ("lexical", hit.lexical)) if rank is not None]
    head = f"{number}. {passage.path}{page}, characters {passage.start}-{passage.end}"
    text = " ".join(passage.text.split())
    text = text if len(text) <= PREVIEW else f"{text[:PREVIEW]} …"
    return printable(f"{head}  [source {passage.source}; {', '.join(ranks)}]\n   {text}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@contextmanager
def _progress(quiet: bool) -> Iterator[Show | None]:
    """A bar on a terminal, a line now and then elsewhere, nothing for `quiet`."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("indexing"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
            task = bar.add_task("index", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """A line at most every EVERY seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + EVERY

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            print(f"{done:,}/{total:,} files", file=sys.stderr, flush=True)
