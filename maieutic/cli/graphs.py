"""`maieutic graphs`, `models`, `envs`: what there is, by name."""

import json as json_
from typing import Annotated

import typer

from maieutic.cli.options import Json

graphs_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@graphs_app.callback()
def graphs(context: typer.Context, json: Json = False) -> None:
    """List the graphs; show NAME draws one."""
    if context.invoked_subcommand is None:
        from maieutic.graphs.registry import describe_graphs

        print_names(describe_graphs(), json)


@graphs_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A graph's name, a dotted path, or a file.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the graph.")
    ] = None,
) -> None:
    """Print a graph as Mermaid text."""
    from maieutic.graphs.registry import load_graph
    from maieutic.terminal.settings import parse_settings

    print(load_graph(name, parse_settings(set_ or ())).mermaid().strip())


def models(json: Json = False) -> None:
    """List the model profiles, shipped and your own."""
    from maieutic.llm.registry import find_profile, model_names
    from maieutic.settings import load_settings

    settings = load_settings()
    print_names({name: find_profile(name, settings).description for name in model_names(settings)}, json)


def envs(
    wanted: Annotated[
        str, typer.Argument(metavar="[FILTER]", help='Only names with this in them; "env:NAME?level=2" shows that one.')
    ] = "",
    json: Json = False,
) -> None:
    """List the environments that tasks can be drawn from, or show one."""
    from maieutic.cli.environments import listed, shown
    from maieutic.tasks.environment import PREFIX

    if not wanted.startswith(PREFIX):
        print_names({name: line for name, line in listed().items() if wanted in name}, json)
        return
    fields = shown(wanted)
    if json:
        print(json_.dumps(fields, ensure_ascii=False))
        return
    for name, value in fields.items():
        print(f"{name}:\n{value}\n" if "\n" in str(value) else f"{name:<13} {value}")


def print_names(described: dict[str, str], json: bool) -> None:
    """Names with a line each, or a JSON object of them."""
    if json:
        print(json_.dumps(described, ensure_ascii=False))
        return
    width = max(map(len, described), default=0)
    for name, line in described.items():
        print(f"{name:<{width}}  {line}".rstrip())
