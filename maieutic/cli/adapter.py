"""`maieutic model adapter`: LoRA adapters of a running server."""

import json as json_
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.options import Json

adapter_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

Versioned = Annotated[str, typer.Argument(metavar="NAME-vN", help="The adapter's name with its version.")]
Server = Annotated[str | None, typer.Option(metavar="NAME", help="The server, where several take adapters.")]


@adapter_app.callback()
def adapter(context: typer.Context) -> None:
    """Load and unload LoRA adapters while a server runs."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@adapter_app.command()
def load(
    name: Versioned,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Its folder, as PEFT saves it.")],
    server: Server = None,
) -> None:
    """Load an adapter; then --model NAME-vN samples it."""
    from maieutic.serving import adapters

    loaded = adapters.load(name, path.expanduser(), server)
    print(f"{loaded.name} is loaded at {loaded.server}: --model {loaded.name} (weights {loaded.weights})")


@adapter_app.command()
def unload(name: Versioned, server: Server = None) -> None:
    """Unload an adapter; its name stays taken."""
    from maieutic.serving import adapters

    adapters.unload(name, server)
    print(f"{name} is unloaded.")


@adapter_app.command("list")
def list_(server: Server = None, json: Json = False) -> None:
    """List the adapters that a server has or once had."""
    from maieutic.serving import adapters

    found = adapters.listed(server)
    if json:
        print(json_.dumps([asdict(one) for one in found]))
        return
    for one in found:
        print(f"{one.name}  {'loaded' if one.loaded else 'not loaded'}  {one.weights}")
