"""`maieutic model`: your own vLLM servers, started, watched and stopped."""

import json as json_
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.adapter import adapter_app
from maieutic.cli.options import Json, Quiet
from maieutic.errors import UserError

if TYPE_CHECKING:
    from maieutic.serving.records import Servers
    from maieutic.serving.status import Status

model_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
model_app.add_typer(adapter_app, name="adapter")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The server's name.")]


@model_app.callback()
def model(context: typer.Context) -> None:
    """Start, watch and stop your own vLLM servers."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@model_app.command()
def up(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="in-box, in-box-1, a checkpoint's folder, or a name at the Hugging Face hub."
        ),
    ],
    extra: Annotated[
        list[str] | None, typer.Argument(metavar="[-- FLAGS]", help="More flags for `vllm serve`, after --.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What it is called as --model.")] = None,
    port: Annotated[int | None, typer.Option(metavar="P", help="Its port; a free one is chosen without.")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="On the CPU, even where there is a GPU.")] = False,
    adapters: Annotated[bool, typer.Option("--adapters", help="Take LoRA adapters while it runs.")] = False,
    lora: Annotated[
        list[str] | None, typer.Option(metavar="NAME-vN=PATH", help="An adapter to begin with; repeatable.")
    ] = None,
    max_model_len: Annotated[int | None, typer.Option(metavar="N", help="Its context, in tokens.")] = None,
    timeout: Annotated[float, typer.Option(metavar="S", help="Seconds it may take to be up.")] = 1800.0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Start a vLLM server, and have a profile for it."""
    from maieutic.cli.model_up import bring_up

    bring_up(wanted, extra or [], name, port, cpu, adapters, lora or [], max_model_len, timeout, json, quiet)


@model_app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One server; all of them without.")] = None,
    json: Json = False,
) -> None:
    """Show how the servers are: health, load, cache, speed."""
    from maieutic.serving.status import statuses

    servers = _servers()
    found = statuses(servers, servers.names() if name is None else [name])
    if json:
        print(json_.dumps([asdict(one) for one in found], ensure_ascii=False))
        return
    for one in found:
        print("\n".join(_lines(one)))
    if not found:
        print("No server is up: start one with `maieutic model up`.")


@model_app.command()
def logs(
    name: Name,
    n: Annotated[int, typer.Option("-n", metavar="N", help="The last so many lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it is written, until Ctrl-C.")] = False,
) -> None:
    """Print what a server wrote, also one that has ended."""
    from maieutic.serving.logs import follow as follow_
    from maieutic.serving.startup import last_lines, tail

    servers = _servers()
    path = servers.log(name)
    if not path.exists():
        servers.get(name)  # says which there are
        raise UserError(f"The server {name} has no log.")
    end = path.stat().st_size
    for line in last_lines(tail(path, max(n, 1) * 1000, end), n) if n > 0 else ():
        print(line, flush=follow)
    if follow:
        try:
            for piece in follow_(path, end, servers, name):
                print(piece, end="", flush=True)
        except KeyboardInterrupt:
            pass


@model_app.command()
def down(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The server's name.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every server.")] = False,
) -> None:
    """Stop a server with all its processes and remove its profile."""
    from maieutic.serving.up import down as down_

    servers = _servers()
    if (name is None) != all_:
        raise UserError("Name one server, or give --all.")
    for one in [name] if name is not None else servers.names():
        down_(servers, one)
        print(f"{one} is down.")


@model_app.command()
def install(
    cpu: Annotated[bool, typer.Option("--cpu", help="The CPU build, even where there is a GPU.")] = False,
    into: Annotated[Path | None, typer.Option(metavar="DIR", help="The environment's folder.")] = None,
) -> None:
    """Install vLLM into an environment of its own, where `up` finds it."""
    import sys

    from maieutic.serving.executable import has_gpu
    from maieutic.serving.install import install as install_
    from maieutic.settings import state_dir

    folder = (into or state_dir() / "vllm").expanduser().absolute()
    done = install_(folder, cpu or not has_gpu(), show=lambda line: print(line, file=sys.stderr, flush=True))
    print(f"vLLM is installed{'' if done else ' already'}: {folder / 'bin' / 'vllm'}")


def _servers() -> "Servers":
    from maieutic.serving.records import Servers

    return Servers.own()


def _lines(status: "Status") -> list[str]:
    """A server in words; what is not known is left out."""
    left = f", {status.left} that it started still run" if status.left else ""
    what = {"silent": "runs and does not answer", "gone": f"gone: its process has ended{left}"}
    minutes, seconds = divmod(round(status.seconds), 60)
    state = what.get(status.state, f"{status.state} for {minutes} min {seconds} s")
    lines = [f"{status.name}  {state}  {status.model} at {status.url}"]
    if status.running is not None:
        parts = [f"{status.running} running, {status.waiting or 0} waiting"]
        if status.tokens_per_second is not None:
            parts.append(f"{status.tokens_per_second:,.0f} tokens/s")
        if status.prefix_hit_rate is not None:
            parts.append(f"{status.prefix_hit_rate:.0%} of prompt tokens from the cache")
        lines.append(f"  {' · '.join(parts)}")
    if status.adapters:
        lines.append(f"  adapters: {', '.join(status.adapters)}")
    if status.state in ("gone", "silent"):
        lines.append(f"  see `maieutic model logs {status.name}`; `maieutic model down {status.name}` clears it away")
    return lines
