"""Retrieval measured: recall and nDCG on a labelled collection, and speed, beside plain BM25 and plain FAISS.

    python benchmarks/retrieval.py quality [--embedder hashed] [--documents 0] [--queries 1000] [--seed 7]
    python benchmarks/retrieval.py speed [--pieces 10000]

The collection is made from what is installed: docstrings of the standard library, numpy and sympy. A query is the first
sentence of a docstring, the document to be found is the rest of it; sentences and texts that occur twice are left out.
One document counts as right for each query, so that nDCG@10 is 1 / log2(1 + rank), and others that would do as well
count as wrong: figures compare ways of searching, they don't say how often a search fails. rank-bm25 and bm25s take
part where they are installed. Every index is searched through the same code as `maieutic search`.
"""

import argparse
import ast
import json
import math
import platform
import random
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from maieutic.stats import paired_bootstrap
from maieutic.tools.retrieval.embedder import find_embedder
from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.indexing import Wanted, update_index
from maieutic.tools.retrieval.lexical import build_lexical, open_lexical
from maieutic.tools.retrieval.vectors import load_faiss

SOURCES = ("numpy", "sympy")
SHORTEST_QUERY, SHORTEST_DOCUMENT = 4, 300  # words, characters
TOP, PASSAGES = 10, 60
PER_FILE = 50  # texts
WORD = re.compile(r"[^\W_]+")
Search = Callable[[str], Sequence[int]]  # numbers of documents, best first


class Item(NamedTuple):
    """One docstring: what is asked, and what should be found."""

    query: str
    document: str


def collection() -> list[Item]:
    """The items, in an order that depends on nothing but the installed versions."""
    roots = [Path(sysconfig.get_paths()["stdlib"])]
    roots += [Path(str(spec.origin)).parent for name in SOURCES if (spec := find_spec(name))]
    by_query: dict[str, set[str]] = {}
    items: dict[str, Item] = {}
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            inside = path.relative_to(root).parts
            if {"site-packages", "tests", "test", "idlelib", "lib2to3"} & set(inside):
                continue
            for item in _items(path):
                by_query.setdefault(item.query.lower(), set()).add(item.document)
                items.setdefault(" ".join(item.document.split()), item)
    return [item for item in items.values() if len(by_query[item.query.lower()]) == 1]


def _items(path: Path) -> Iterator[Item]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        head, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
        sentence, *more = re.split(r"(?<=[.!?])\s", " ".join(head.split()), maxsplit=1)
        document = "\n\n".join([*more, rest]).strip()
        if len(sentence.split()) >= SHORTEST_QUERY and len(document) >= SHORTEST_DOCUMENT:
            yield Item(sentence, document)


# quality


def quality(arguments: argparse.Namespace) -> None:
    """Print a table of recall@10 and nDCG@10, with intervals, and the differences to lexical search alone."""
    items = collection()
    rng = random.Random(arguments.seed)
    if arguments.documents:
        items = rng.sample(items, min(arguments.documents, len(items)))
    asked = rng.sample(range(len(items)), min(arguments.queries, len(items)))
    documents = [item.document for item in items]
    ranks: dict[str, list[int | None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, search in chain(
            ours(Path(folder), documents, arguments.embedder), plain(documents, arguments.embedder)
        ):
            ranks[name] = []
            for number in asked:
                found = list(search(items[number].query))[:TOP]
                ranks[name].append(found.index(number) + 1 if number in found else None)
    print(f"\n{len(documents):,} documents, n = {len(asked):,} queries, seed {arguments.seed}; {versions()}\n")
    print("| way of searching | recall@10 | nDCG@10 | nDCG@10 less lexical |\n|---|---|---|---|")
    base = [gain(rank) for rank in ranks["lexical (tantivy)"]]
    for name, found in ranks.items():
        gains = [gain(rank) for rank in found]
        less = "" if gains == base else shown(paired_bootstrap(base, gains), "+.3f")
        hits = [float(rank is not None) for rank in found]
        print(f"| {name} | {mean(hits)} | {mean(gains)} | {less} |")


def gain(rank: int | None) -> float:
    return 0.0 if rank is None else 1 / math.log2(1 + rank)


def mean(values: list[float]) -> str:
    return shown(paired_bootstrap([0.0] * len(values), values), ".3f")


def shown(interval: Any, form: str) -> str:
    return f"{interval.estimate:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def ours(folder: Path, documents: list[str], embedder: str) -> Iterator[tuple[str, Search]]:
    """Maieutic's index in each of its ways; a document stands where its first passage does."""
    files = folder / "files"
    files.mkdir()
    for number, document in enumerate(documents):
        (files / f"{number}.txt").write_text(document)
    update_index(folder / "index", Wanted((files,), embedder=embedder))
    index = Index(folder / "index")

    def way(name: Any) -> Search:
        def search(query: str) -> list[int]:
            hits = index.search(query, PASSAGES, name)
            return list(dict.fromkeys(int(Path(hit.passage.path).stem) for hit in hits))

        return search

    yield "lexical (tantivy)", way("lexical")
    yield f"dense ({embedder})", way("dense")
    yield f"hybrid ({embedder} and tantivy)", way("hybrid")
    index.close()
    (folder / "fts5").mkdir()
    build_lexical(folder / "fts5", "fts5", None, (), enumerate(documents))
    table = open_lexical(folder / "fts5", "fts5")
    yield "lexical (FTS5, whole documents)", lambda query: [number for number, _ in table.search(query, TOP)]


def plain(documents: list[str], name: str) -> Iterator[tuple[str, Search]]:
    """Scripts of a few lines: FAISS over whole documents, rank-bm25, bm25s."""
    embedder, faiss = find_embedder(name), load_faiss()
    rows = embedder.documents(documents)
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    yield (
        f"plain FAISS ({name}, whole documents)",
        lambda q: flat.search(embedder.query(q).reshape(1, -1), TOP)[1][0].tolist(),
    )
    words = [WORD.findall(document.lower()) for document in documents]
    if find_spec("rank_bm25"):
        from rank_bm25 import BM25Okapi

        okapi = BM25Okapi(words)
        yield "rank-bm25", lambda query: (-okapi.get_scores(WORD.findall(query.lower()))).argsort()[:TOP].tolist()
    if find_spec("bm25s"):
        import bm25s

        retriever = bm25s.BM25()
        retriever.index(words, show_progress=False)

        def search(query: str) -> list[int]:
            found = retriever.retrieve([WORD.findall(query.lower())], k=TOP, show_progress=False)
            return [int(number) for number in found.documents[0]]

        yield "bm25s", search


# speed


def speed(arguments: argparse.Namespace) -> None:
    """Print index rate, time of a query and memory, and the ratios to bare FAISS and bare tantivy on the same texts."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "files")
        texts = write_texts(files, arguments.pieces)
        queries = [" ".join(text.split()[:8]) for text in random.Random(3).sample(texts, 100)]
        Path(folder, "queries.json").write_text(json.dumps(queries))
        rows = {way: measured(way, Path(folder)) for way in ("bare FAISS", "bare tantivy", "exact", "hnsw")}
    print(f"\n{arguments.pieces:,} texts of 60 words, {len(queries)} queries, one thread; {versions()}\n")
    print("| way | index, texts/s | query, ms (p50) | memory of a searching process, MiB |\n|---|---|---|---|")
    for way, row in rows.items():
        print(f"| {way} | {row['rate']:,.0f} | {row['p50']:.2f} | {row['memory']:,.0f} |")
    for way in ("exact", "hnsw"):
        for bare in ("bare FAISS", "bare tantivy"):
            rate, p50 = rows[bare]["rate"] / rows[way]["rate"], rows[way]["p50"] / rows[bare]["p50"]
            print(f"{way} against {bare}: indexing takes {rate:.1f} times as long, a query {p50:.1f} times.")


def write_texts(files: Path, pieces: int) -> list[str]:
    """Texts of 60 words drawn as often as in the collection, PER_FILE to a file, seeded."""
    words = [word for item in collection() for word in WORD.findall(item.document)]
    rng = random.Random(1)
    texts = [" ".join(rng.choices(words, k=60)) for _ in range(pieces)]
    files.mkdir()
    for at in range(0, pieces, PER_FILE):
        (files / f"{at}.txt").write_text("\n\n\n".join(texts[at : at + PER_FILE]))
    return texts


def measured(way: str, folder: Path) -> dict[str, float]:
    """What a process of its own says of one way: first it indexes, then another one searches."""
    said: dict[str, float] = {}
    for part in ("index", "search"):
        command = [sys.executable, __file__, "part", "--way", way, "--part", part, "--folder", str(folder)]
        said |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return said


def part(arguments: argparse.Namespace) -> None:
    """One measurement, as JSON: rate of indexing, or p50 of a query and the memory of the process."""
    folder, way = arguments.folder, arguments.way
    index, started = folder / way.replace(" ", "-"), time.perf_counter()
    if arguments.part == "index":
        pieces = INDEXERS[way](folder, index)
        print(json.dumps({"rate": pieces / (time.perf_counter() - started)}))
        return
    search, times = SEARCHERS[way](index), []
    for query in json.loads((folder / "queries.json").read_text()):
        before = time.perf_counter()
        search(query)
        times.append(time.perf_counter() - before)
    print(json.dumps({"p50": statistics.median(times) * 1e3, "memory": resident()}))


def resident() -> float:
    """MiB of memory that this process holds."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def pieces_of(folder: Path) -> list[str]:
    files = sorted((folder / "files").iterdir())
    return [text for path in files for text in path.read_text().split("\n\n\n")]


def index_faiss(folder: Path, index: Path) -> int:
    """Embedding included: vectors come from somewhere in a script, too."""
    faiss, embedder, texts = load_faiss(), find_embedder("hashed"), pieces_of(folder)
    flat = faiss.IndexFlatIP(embedder.identity.dimensions)
    for at in range(0, len(texts), 1000):
        flat.add(embedder.documents(texts[at : at + 1000]))
    faiss.write_index(flat, str(index))
    return len(texts)


def index_tantivy(folder: Path, index: Path) -> int:
    texts = pieces_of(folder)
    index.mkdir()
    build_lexical(index, "tantivy", None, (), enumerate(texts))
    return len(texts)


def index_ours(kind: Any) -> Callable[[Path, Path], int]:
    def run(folder: Path, index: Path) -> int:
        wanted = Wanted((folder / "files",), embedder="hashed", vectors=kind, characters=600)
        return update_index(index, wanted).documents * PER_FILE

    return run


def search_faiss(index: Path) -> Callable[[str], object]:
    flat, embedder = load_faiss().read_index(str(index)), find_embedder("hashed")
    return lambda query: flat.search(embedder.query(query).reshape(1, -1), TOP)


def search_tantivy(index: Path) -> Callable[[str], object]:
    lexical = open_lexical(index, "tantivy")
    return lambda query: lexical.search(query, TOP)


def search_ours(folder: Path) -> Callable[[str], object]:
    index = Index(folder)
    return lambda query: index.search(query, TOP)


INDEXERS = {
    "bare FAISS": index_faiss,
    "bare tantivy": index_tantivy,
    "exact": index_ours("exact"),
    "hnsw": index_ours("hnsw"),
}
SEARCHERS = {"bare FAISS": search_faiss, "bare tantivy": search_tantivy, "exact": search_ours, "hnsw": search_ours}


def versions() -> str:
    """What was measured, by version."""
    said = [f"Python {platform.python_version()}"]
    for name in ("numpy", "sympy", "faiss-cpu", "tantivy", "rank-bm25", "bm25s", "sentence-transformers"):
        try:
            said.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            pass
    return ", ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("quality")
    command.add_argument("--embedder", default="hashed")
    command.add_argument("--documents", type=int, default=0, help="so many of the collection; 0 is all of it")
    command.add_argument("--queries", type=int, default=1000)
    command.add_argument("--seed", type=int, default=7)
    command.set_defaults(run=quality)
    command = commands.add_parser("speed")
    command.add_argument("--pieces", type=int, default=10_000)
    command.set_defaults(run=speed)
    command = commands.add_parser("part")
    command.add_argument("--way", choices=list(INDEXERS), required=True)
    command.add_argument("--part", choices=["index", "search"], required=True)
    command.add_argument("--folder", type=Path, required=True)
    command.set_defaults(run=part)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
