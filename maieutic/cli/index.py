"""`maieutic index` and `maieutic search`: folders of documents, made searchable."""

from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.options import Json, Quiet


def index(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Files and folders to add.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the index is called.")] = None,
    forget: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A path not to index any more; repeatable.")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(metavar="NAME", help="hashed, minilm, st/NAME or openai-compatible/NAME@URL.")
    ] = None,
    vectors: Annotated[str | None, typer.Option(metavar="KIND", help="exact, or hnsw for very many.")] = None,
    characters: Annotated[int | None, typer.Option(metavar="N", help="Most characters of a passage.")] = None,
    max_size: Annotated[float, typer.Option(metavar="MIB", help="Leave larger files out.")] = 64,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Read everything again.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the indexes.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the index; the files stay.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Index documents, or bring an index up to date."""
    from maieutic.cli.indexing import list_indexes, run_indexing
    from maieutic.errors import UserError
    from maieutic.tools.retrieval.indexing import Wanted
    from maieutic.tools.retrieval.shelf import Shelf

    if list_:
        list_indexes(json)
        return
    if name is None:
        raise UserError("Which index? Give it a name with --name, or see what there is with --list.")
    if remove:
        Shelf().remove(name)
        print(f"The index {name} is removed.")
        return
    if vectors not in (None, "exact", "hnsw"):
        raise UserError(f"There are no {vectors} vectors: give exact or hnsw.")
    if characters is not None and not 100 <= characters <= 20_000:
        raise UserError(f"Passages of {characters} characters are not possible: give 100 to 20000.")
    if not 0 < max_size <= 4096:
        raise UserError(f"Files of up to {max_size:g} MiB can't be indexed: give more than 0 and at most 4096.")
    wanted = Wanted(
        paths=tuple(paths or ()),
        forget=tuple(forget or ()),
        embedder=embedder,
        vectors=vectors,  # type: ignore[arg-type]
        characters=characters,
        largest=int(max_size * 2**20),
        rebuild=rebuild,
    )
    run_indexing(name, wanted, json, quiet)


def search(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The index.")],
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What you look for.")],
    k: Annotated[int, typer.Option("-k", metavar="N", help="Passages to show.")] = 5,
    way: Annotated[str, typer.Option(metavar="WAY", help="hybrid, dense or lexical.")] = "hybrid",
    rerank: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A cross-encoder of sentence-transformers, or its folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Search an index and show where the passages stand."""
    from maieutic.cli.indexing import run_search
    from maieutic.errors import UserError

    if not 1 <= k <= 1000:
        raise UserError(f"{k} passages can't be shown: give 1 to 1000.")
    if way not in ("hybrid", "dense", "lexical"):
        raise UserError(f"There is no way {way!r} to search: give hybrid, dense or lexical.")
    if not query.strip():
        raise UserError("The query is empty: write what you look for.")
    run_search(name, query, k, way, rerank, json)  # type: ignore[arg-type]
