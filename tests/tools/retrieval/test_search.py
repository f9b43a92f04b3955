"""Searching: the two lists and how they are joined, in either engine, with deletions and odd queries."""

import threading
from pathlib import Path

import numpy as np
import pytest

from maieutic.tools.retrieval.hashed import Hashed, count_words
from maieutic.tools.retrieval.index import Index, join_ranks
from maieutic.tools.retrieval.lexical import Engine, build_lexical, open_lexical
from maieutic.tools.retrieval.vectors import MOST_DEAD, Kind, Vectors, as_ids
from tests.tools.retrieval.conftest import Update, found

TEXTS = [(11, "the pump loses its prime"), (12, "valves and seats"), (40, "pumps, pumped, pumping")]


@pytest.fixture(params=["tantivy", "fts5"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "tantivy":
        pytest.importorskip("tantivy", reason="tantivy is not installed: only SQLite's FTS5 was checked")
    return request.param  # type: ignore[no-any-return]


def test_words_are_found_in_any_form_and_deletions_are_gone(tmp_path: Path, engine: Engine) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    build_lexical(one, engine, None, (), iter(TEXTS))
    lexical = open_lexical(one, engine)
    assert {number for number, _ in lexical.search("pump", 10)} == {11, 40}
    assert [number for number, _ in lexical.search("the valve", 1)] == [12]
    build_lexical(two, engine, one, [40], iter([(41, "a new pump")]))
    newer = open_lexical(two, engine)
    assert {number for number, _ in newer.search("pump", 10)} == {11, 41}
    assert {number for number, _ in lexical.search("pump", 10)} == {11, 40}  # whoever searches the old one still can
    lexical.close()
    newer.close()


@pytest.mark.parametrize("query", ["", "!?", 'OR "unclosed (NOT text:', "*", "zzz", "pump* OR -valve^2", "नमस्ते", "\0"])
def test_a_query_has_no_syntax(tmp_path: Path, engine: Engine, query: str) -> None:
    build_lexical(tmp_path, engine, None, (), iter(TEXTS))
    lexical = open_lexical(tmp_path, engine)
    hits = {number for number, _ in lexical.search(query, 10)}
    assert hits == ({11, 12, 40} if "pump*" in query else set())
    lexical.close()


def rows(n: int, dimensions: int = 32) -> np.ndarray:
    drawn = np.random.default_rng(7).standard_normal((n, dimensions), dtype=np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_vectors_that_were_removed_are_never_found(tmp_path: Path, kind: Kind) -> None:
    ids, vectors = as_ids(range(1000, 3000, 10)), rows(200)
    index = Vectors.empty(kind, 32)
    index.add(ids, vectors)
    index.remove(ids[:30])
    index.save(tmp_path)
    index = Vectors.load(tmp_path, kind)
    assert len(index) == 170 and not index.worn
    hits = {number for row in vectors[:30] for number, _ in index.search(row, 200)}
    assert hits and not hits & set(ids[:30].tolist())
    assert all(index.search(vectors[i], 1)[0][0] == ids[i] for i in range(30, 200))
    index.remove(ids[:60])
    assert index.worn == (kind == "hnsw") and 60 > MOST_DEAD * 200


def test_exact_is_exact() -> None:
    vectors = rows(500)
    index = Vectors.empty("exact", 32)
    index.add(as_ids(range(500)), vectors)
    half = vectors.astype(np.float16).astype(np.float32)
    for query in rows(20)[::-1]:
        hits = index.search(query, 10)
        assert [number for number, _ in hits] == np.argsort(-(half @ query))[:10].tolist()


def test_reciprocal_ranks_are_joined() -> None:
    joined = dict(join_ranks([([5, 6, 7], 1), ([7, 5], 1)]))
    assert joined == pytest.approx({5: 1 / 61 + 1 / 62, 7: 1 / 63 + 1 / 61, 6: 1 / 62})
    assert [number for number, _ in join_ranks([([2], 1), ([1], 1)])] == [1, 2]
    assert dict(join_ranks([([2], 0.3), ([1], 1)])) == pytest.approx({1: 1 / 61, 2: 0.3 / 61})


def test_hits_say_where_they_come_from(opened: Index) -> None:
    (hit,) = opened.search("lap the valve seat", 1)
    assert (hit.dense, hit.lexical) == (1, 1)
    text = Path(hit.passage.path).read_text()
    assert text[hit.passage.start : hit.passage.end] == hit.passage.text
    assert opened.label(hit.passage.path) == "handbook/sub/valves.txt"
    assert found(opened, "cavitating") == ["pumps.txt"]  # another form, found by its parts
    assert opened.search("xyzzy", way="lexical") == []


def test_rare_words_count_more() -> None:
    texts = ["the common word"] * 50 + ["the rare word"]
    weighted = Hashed(count_words(texts), len(texts))
    plain, rare = weighted.documents(["the common word", "rare"])
    query = weighted.query("the rare word")
    assert query @ rare > 0.9 > query @ plain
    assert Hashed().query("the rare word") @ rare < 0.8


def test_an_index_can_be_searched_from_many_threads_while_it_grows(update: Update, folder: Path, opened: Index) -> None:
    problems: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                assert found(opened, "lap the valve seat") == ["valves.txt"]
            except Exception as error:
                problems.append(error)
                return

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(5):
            (folder / "gears.txt").write_text(f"Gear {i} whines.\n")
            update()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not problems
    assert found(opened, "gear 4 whines") == ["gears.txt"]
