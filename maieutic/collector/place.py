"""Where a collection is worked on: a directory here, or one here for what lies behind a URL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from maieutic.collector.remote import Remote, folder_for, is_remote, kept
from maieutic.collector.shard import Shard, refuse_mixture


@asynccontextmanager
async def opened(out: str | Path, shard: Shard | None, checkpoint: float) -> AsyncIterator[Path]:
    """The folder to collect into; what is behind a URL is brought before, and kept up to date there every `checkpoint`
    seconds. Raises UserError where `out` was divided into shards otherwise, or can't be had."""
    if not is_remote(out):
        out = Path(out)
        refuse_mixture(out, {path.name for path in out.iterdir()} if out.is_dir() else (), shard)
        yield out / shard.folder if shard else out
        return
    url, folder = str(out).rstrip("/"), folder_for(str(out))
    names = await asyncio.to_thread(Remote(url, folder).names)
    refuse_mixture(url, names, shard)
    if shard:
        url, folder = f"{url}/{shard.folder}", folder / shard.folder
    async with kept(Remote(url, folder), folder, checkpoint):
        yield folder
