"""`maieutic chat`: a conversation."""

from typing import TYPE_CHECKING

from maieutic.cli.options import Traces, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def chat(options: "RunOptions", traces: Traces = None) -> None:
    """Keep a conversation; /help lists its commands."""
    import asyncio
    from dataclasses import replace

    from maieutic.chat.loop import chat as talk

    asyncio.run(talk(replace(options, traces=traces)))
