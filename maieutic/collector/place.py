"""Where a collection is worked on: a directory here, or one here for what lies behind a URL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from maieutic.collector.remote import Remote, folder_for, kept
from maieutic.collector.shard import Shard, refuse_mixture, shards_among
from maieutic.errors import UserError
from maieutic.url_store import StoreError, UrlStore, is_url


@asynccontextmanager
async def opened(out: str | Path, shard: Shard | None, checkpoint: float) -> AsyncIterator[Path]:
    """The folder to collect into; what is behind a URL is brought before, and kept up to date there every `checkpoint`
    seconds. Raises UserError where `out` was divided into shards otherwise, or can't be had."""
    refuse_mixture(out, await asyncio.to_thread(_names, out), shard)
    if not is_url(out):
        yield Path(out) / shard.folder if shard else Path(out)
        return
    url, folder = url_of(out, shard) or "", folder_for(str(out))
    if shard:
        folder = folder / shard.folder
    async with kept(Remote(url, folder), folder, checkpoint):
        yield folder


def url_of(out: str | Path, shard: Shard | None = None) -> str | None:
    """The URL of a collection, or of one shard of it; None for a directory."""
    if not is_url(out):
        return None
    url = str(out).rstrip("/")
    return f"{url}/{shard.folder}" if shard else url


def shards_at(out: str | Path, wanted: int) -> int:
    """Into how many shards `out` is divided: `wanted`, unless it has begun otherwise. Raises UserError where it was
    started without any."""
    names = _names(out)
    begun = shards_among(names)
    shards = max(begun) if begun else wanted
    refuse_mixture(out, names, Shard(0, shards))
    return shards


def _names(out: str | Path) -> set[str]:
    if is_url(out):
        try:
            return UrlStore(str(out)).names()
        except StoreError as error:
            raise UserError(str(error)) from error
    return {path.name for path in Path(out).iterdir()} if Path(out).is_dir() else set()
