"""Places that may be behind a URL: traces are brought from there, and rows are sent there once they are whole."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from maieutic.errors import UserError
from maieutic.recipes.storage import CARD, card_of
from maieutic.trace.lost import LEDGER
from maieutic.url_store import StoreError, UrlStore, is_url


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows are made, and where they are sent, if anywhere."""

    path: Path
    url: str | None

    def named(self, path: Path) -> str:
        """Where `path`, which is the rows or stands beside them, is to be found: a path, or a URL."""
        if self.url is None:
            return str(path)
        return f"{self.url.rpartition('/')[0]}/{path.relative_to(self.path.parent).as_posix()}"


@contextmanager
def placed(out: Path | str, kind: str | None) -> Iterator[Place]:
    """A place to make rows of this kind in; at the end of the block they are sent to `out`, if that is a URL.

    UserError where they can't be. Whether there is such a place at all is asked before the block.
    """
    if not is_url(out):
        yield Place(Path(out), None)
        return
    url = str(out).rstrip("/")
    above, _, name = url.rpartition("/")
    if above.endswith(":/"):
        raise UserError(f"{url} names no file: give one in it, such as {url}/rows.jsonl.")
    with _said():
        store = UrlStore(above)
        store.names()
        if kind == "hf" and (there := UrlStore(url).names()) and CARD not in there:
            raise UserError(f"{url} is there already, and no dataset of an earlier export: give another folder.")
    with TemporaryDirectory(prefix="maieutic-") as folder:
        yield Place(Path(folder) / name, url)
        with _said():
            _send(Path(folder), store)


@contextmanager
def brought(dirs: Sequence[Path | str]) -> Iterator[list[Path]]:
    """The directories, or files, those behind URLs as copies that are gone after the block. UserError where they can't
    be had."""
    with ExitStack() as stack:
        here = []
        for place in dirs:
            if is_url(place):
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="maieutic-")))
                with _said():
                    here.append(_bring(str(place).rstrip("/"), folder))
            else:
                here.append(Path(place))
        yield here


def _bring(url: str, folder: Path) -> Path:
    """What is behind the URL, below `folder`: all files of a directory, or the one file and its card."""
    store = UrlStore(url)
    store.names()  # of a bucket that is not there, all the rest would be missing without a word
    if store.find() == [""]:
        above, _, name = url.rpartition("/")
        UrlStore(above).bring(name, folder / name)
        with suppress(FileNotFoundError):
            card = card_of(Path(name), "jsonl").name
            UrlStore(above).bring(card, folder / card)
        return folder / name
    for ledgers in (True, False):  # what a ledger names was there before it, and is found after it
        for name in store.find():
            if name.endswith(LEDGER) is ledgers:
                _bring_file(store, name, folder)
    return folder


def _bring_file(store: UrlStore, name: str, folder: Path) -> None:
    try:
        store.bring(name, folder / name)
    except FileNotFoundError:  # a segment that was sealed since
        with suppress(FileNotFoundError):
            store.bring(f"{name}.zst", folder / f"{name}.zst")


def _send(folder: Path, store: UrlStore) -> None:
    """Everything in the folder, the cards last: who finds one finds the rows it is about."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in sorted(files, key=lambda path: path.suffix in (".md", ".json")):
        store.send(path.relative_to(folder).as_posix(), path)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise UserError(str(error)) from error
