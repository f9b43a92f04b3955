"""Indexes follow their files: what is new, changed or gone, what a killed run leaves, and who may write."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.tools.retrieval.generation import folder_of
from maieutic.tools.retrieval.hashed import Hashed
from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.indexing import Wanted, update_index
from maieutic.tools.retrieval.lexical import best_engine
from maieutic.tools.retrieval.shelf import Shelf, claimed
from maieutic.tools.retrieval.store import Store
from tests.tools.retrieval.conftest import TEXTS, Update, found


def test_a_second_run_does_nothing(update: Update, place: Path) -> None:
    first = update()
    assert (first.added, first.documents, first.left_out) == (3, 3, {})
    files = sorted(place.rglob("*"))
    second = update()
    assert (second.added, second.changed, second.removed, second.unchanged) == (0, 0, 0, 3)
    assert sorted(place.rglob("*")) == files


def test_new_changed_and_deleted_files_are_followed(update: Update, folder: Path, opened: Index) -> None:
    (folder / "gears.txt").write_text("A gear that whines is short of oil.\n")
    (folder / "pumps.txt").write_text("The impeller is keyed to the shaft.\n")
    (folder / "sub" / "valves.txt").unlink()
    report = update()
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 1, 1, 1)
    assert found(opened, "whining gear") == ["gears.txt"]
    assert found(opened, "impeller shaft") == ["pumps.txt"]
    for way in ("dense", "lexical", "hybrid"):
        assert "valves.txt" not in found(opened, "lap the valve seat", 10, way=way)
    assert found(opened, "cavitates prime", way="lexical") == []  # the old text of pumps.txt


def test_a_file_that_only_looks_newer_is_not_read_into_the_index_again(update: Update, folder: Path) -> None:
    update()
    os.utime(folder / "pumps.txt", ns=(1, 1))
    report = update()
    assert (report.changed, report.unchanged) == (0, 3)


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_an_index_that_grew_finds_what_one_made_at_once_finds(folder: Path, tmp_path: Path, kind: str) -> None:
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    for i in range(30):
        (folder / f"{i}.txt").write_text(f"Part number {i * 37} fits the housing of machine {i % 7}.\n")
        if i % 10 == 0:
            update_index(grown, Wanted((folder,), vectors=kind))  # type: ignore[arg-type]
    for i in range(0, 30, 3):
        (folder / f"{i}.txt").unlink()
    update_index(grown)
    update_index(whole, Wanted((folder,), vectors=kind))  # type: ignore[arg-type]
    one, other = Index(grown), Index(whole)
    for query in ("part number 259 machine", "housing", "lap the seat of a valve"):
        assert set(found(one, query, 30)) == set(found(other, query, 30))
        assert query == "housing" or found(one, query, 1) == found(other, query, 1)
        # HNSW may miss some of the far ones; scores of those found are the same
        near = {h.passage.path: h.score for h in other.search(query, 30, "dense")}
        for hit in one.search(query, 30, "dense"):
            assert kind == "hnsw" or hit.score == pytest.approx(near[hit.passage.path], abs=1e-5)
    one.close()
    other.close()


def test_source_numbers_are_never_given_twice(update: Update, folder: Path, opened: Index) -> None:
    (before,) = opened.search("valve seat", 1)
    (folder / "sub" / "valves.txt").unlink()
    update()
    (folder / "sub" / "valves.txt").write_text(TEXTS["sub/valves.txt"])
    update()
    (after,) = opened.search("valve seat", 1)
    assert after.passage.source > before.passage.source
    assert after.passage.id > before.passage.id
    assert opened.read(before.passage.source) == []


def test_a_folder_that_vanished_keeps_its_documents_until_it_is_forgotten(
    update: Update, folder: Path, opened: Index, place: Path
) -> None:
    away = folder.rename(folder.with_name("away"))
    report = update_index(place)
    assert report.removed == 0 and report.documents == 3
    assert report.left_out == {str(folder): "is not there any more; what was indexed from it is kept"}
    assert found(opened, "valve seat") == ["valves.txt"]
    report = update_index(place, Wanted((away,), forget=(folder,)))
    assert (report.added, report.removed, report.documents) == (3, 3, 3)
    with pytest.raises(UserError, match="is not indexed as a path of its own; indexed are: .*away"):
        update_index(place, Wanted(forget=(folder,)))


def test_a_folder_that_vanishes_while_it_is_read_keeps_its_documents(
    update: Update, folder: Path, opened: Index, place: Path
) -> None:
    (folder / "gears.txt").write_text("A gear that whines is short of oil.\n")

    def vanish(done: int, total: int) -> None:
        if folder.exists():
            folder.rename(folder.with_name("away"))

    report = update_index(place, progress=vanish)
    assert report.left_out == {str(folder): "vanished while it was read; what was indexed from it is kept"}
    assert (report.removed, report.documents) == (0, 3)
    assert found(opened, "valve seat") == ["valves.txt"]


def test_the_last_path_can_be_forgotten(update: Update, folder: Path, place: Path) -> None:
    update()
    assert update_index(place, Wanted(forget=(folder,))).documents == 0
    index = Index(place)
    assert index.search("valve") == []
    index.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from maieutic.tools.retrieval.hashed import Hashed
from maieutic.tools.retrieval import indexing
from maieutic.tools.retrieval.indexing import Wanted, update_index

class Slow(Hashed):
    calls = 0
    def documents(self, texts):
        Slow.calls += 1
        if Slow.calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().documents(texts)

indexing.GROUP = 4
update_index(Path(sys.argv[1]), Wanted((Path(sys.argv[2]),)), embedder=Slow())
"""


@pytest.mark.slow
def test_a_killed_run_leaves_the_old_index_and_the_next_one_goes_on(
    update: Update, folder: Path, place: Path, opened: Index
) -> None:
    before = found(opened, "valve seat", 10)
    (folder / "pumps.txt").write_text("Something else altogether.\n")
    for i in range(20):
        (folder / f"{i:02}.txt").write_text(f"Bolt {i} holds the valve cover.\n")
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(place), str(folder)])
    assert ended.returncode == -signal.SIGKILL
    again = Index(place)  # by another reader, too
    assert found(again, "valve seat", 10) == found(opened, "valve seat", 10) == before
    assert found(again, "bleed the inlet line") == ["pumps.txt"]
    again.close()
    embedded: list[str] = []

    class Counting(Hashed):
        def documents(self, texts):  # type: ignore[no-untyped-def]
            embedded.extend(texts)
            return super().documents(texts)

    report = update_index(place, Wanted((folder,)), embedder=Counting())
    assert (report.documents, report.unchanged) == (23, 2)
    assert len(embedded) == 21 - 8  # the two groups of four before the third were kept
    assert found(opened, "bolt 17") == ["17.txt"]
    assert found(opened, "something else altogether") == ["pumps.txt"]


def test_two_runs_at_once_are_one_too_many(update: Update, place: Path) -> None:
    with claimed(place), pytest.raises(UserError, match="Another process is writing the index handbook"):
        update()
    assert update().documents == 3


def test_an_index_is_removed_by_name(update: Update, place: Path) -> None:
    update()
    shelf = Shelf(place.parent)
    assert shelf.names() == ["handbook"]
    shelf.remove("handbook")
    assert shelf.names() == [] and list(place.parent.iterdir()) == []
    with pytest.raises(UserError, match="There is no index 'handbook': make it with"):
        shelf.find("handbook")


class Other(Hashed):
    """The same vectors under another name: what counts is what the index remembers."""

    @property
    def identity(self):  # type: ignore[no-untyped-def]
        from maieutic.tools.retrieval.embedder import Identity

        return Identity("other", 1024, "77")


def test_an_index_of_another_embedder_is_refused_and_can_be_rebuilt(update: Update, folder: Path, place: Path) -> None:
    update()
    refusal = r"made with the embedder hashed \(1024 dimensions, weights 1\), and other .* --embedder other --rebuild"
    with pytest.raises(UserError, match=refusal):
        update_index(place, Wanted((folder,)), embedder=Other())
    with pytest.raises(UserError, match=refusal):
        Index(place, Other())
    report = update_index(place, Wanted(rebuild=True), embedder=Other())
    assert (report.changed, report.documents, report.embedder) == (3, 3, "other")
    index = Index(place, Other())
    assert found(index, "valve seat") == ["valves.txt"]
    index.close()


def test_a_reader_goes_over_to_what_was_rebuilt(update: Update, opened: Index) -> None:
    update(rebuild=True, vectors="hnsw", characters=200)
    assert found(opened, "valve seat") == ["valves.txt"]
    with pytest.raises(UserError, match="hnsw vectors and pieces of 200 characters: give --rebuild"):
        update(vectors="exact")


@pytest.mark.parametrize("damaged", ["vectors.faiss", "lexical", "words.npy"])
def test_damaged_files_are_told_and_made_again_from_the_store(update: Update, place: Path, damaged: str) -> None:
    update()
    generation = folder_of(place, 1)
    name = {"tantivy": "tantivy/meta.json", "fts5": "fts5.sqlite"}[best_engine()] if damaged == "lexical" else damaged
    (generation / name).write_bytes(b"damaged")
    with pytest.raises(UserError, match="can't be read: run maieutic index --name handbook"):
        Index(place)
    assert update().unchanged == 3
    index = Index(place)
    assert found(index, "valve seat") == ["valves.txt"]
    index.close()


def test_a_damaged_store_is_told(update: Update, place: Path) -> None:
    update()
    store = place / "store.sqlite"
    store.write_bytes(b"damaged" * 1000)
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    with pytest.raises(UserError, match="is damaged .* remove the index and make it again"):
        Index(place)


def test_an_index_that_was_never_finished_is_told(place: Path) -> None:
    place.mkdir(parents=True)
    Store(place, write=True).close()
    with pytest.raises(UserError, match="The index handbook is not finished: run maieutic index --name handbook"):
        Index(place)


FULL = """
import resource, sys
from pathlib import Path
from maieutic.errors import UserError
from maieutic.tools.retrieval.indexing import Wanted, update_index
place, folder, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    update_index(place, Wanted((folder,)))
except UserError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [150_000, 420_000])  # while documents are stored; while vectors are written
def test_a_full_disk_is_told_and_loses_nothing(
    update: Update, folder: Path, place: Path, opened: Index, limit: int
) -> None:
    for i in range(150):
        (folder / f"{i:03}.txt").write_text(f"Bolt {i} holds cover {i * i}. " * 10)
    command = [sys.executable, "-c", FULL, str(place), str(folder), str(limit)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert "can't be written" in ended.stdout and "run the same command again" in ended.stdout, ended.stderr
    assert found(opened, "valve seat") == ["valves.txt"]
    assert not list(place.glob("*.part"))
    assert update().documents == 153
    assert found(opened, "bolt 77 cover 5929") == ["077.txt"]
