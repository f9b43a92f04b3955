"""The options that every command that runs a graph has, written once."""

import inspect
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from maieutic.budget import Budget
    from maieutic.terminal.options import RunOptions
    from maieutic.types import Sampling

_UNSAFE = "maieutic: --unsafe-local: what the model writes runs without a sandbox and may do whatever you may."

Models = Annotated[
    list[str] | None,
    typer.Option(metavar="[ROLE=]NAME", help="A model, such as in-box or vllm/NAME@URL; again for a role's own."),
]
Tools = Annotated[list[str] | None, typer.Option(metavar="NAME", help="A tool the model may use; repeatable.")]


def run_options(
    graph: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who speaks when: a graph's name, or a file.")
    ] = None,
    model: Models = None,
    tool: Tools = None,
    index: Annotated[
        str | None, typer.Option(metavar="NAME", help="An index of documents that the model may search.")
    ] = None,
    mcp: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An MCP server of your settings; repeatable.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="PATH|URL", help="A database that the model may question, never change.")
    ] = None,
    web_cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Record what is fetched from the web there, and fetch it once.")
    ] = None,
    web_replay: Annotated[
        bool, typer.Option("--web-replay", help="Take the web from its record, and fetch nothing.")
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the graph; repeatable.")
    ] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Tokens a run may use, prompts included.")
    ] = None,
    budget_calls: Annotated[int | None, typer.Option(metavar="N", help="Model calls a run may make.")] = None,
    budget_seconds: Annotated[float | None, typer.Option(metavar="S", help="Seconds a run may take.")] = None,
    budget_cost: Annotated[float | None, typer.Option(metavar="X", help="US dollars a run may cost.")] = None,
    temperature: Annotated[float | None, typer.Option(metavar="T", help="Sampling temperature.")] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Tokens of one reply at most.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the sampling.")] = None,
    sandbox: Annotated[
        str | None, typer.Option(metavar="NAME", help="Run the model's code in this sandbox or not at all.")
    ] = None,
    approve: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A tool whose calls wait for your approval, or all.")
    ] = None,
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Let the graph ask whether an answer is right; marks the run.")
    ] = False,
    unsafe_local: Annotated[
        bool, typer.Option("--unsafe-local", help="Run the model's code without a sandbox, with all your rights.")
    ] = False,
) -> "RunOptions":
    """The options as given. Raises UserError for a number out of range, or a setting or a model that can't be read."""
    from maieutic.terminal.options import RunOptions
    from maieutic.terminal.roles import parse_model
    from maieutic.terminal.settings import parse_settings

    name, models = parse_model(model or ())
    return RunOptions(
        graph=graph,
        model=name,
        models=models,
        tools=(*_tools(tool or (), index, database), *(f"mcp:{name}" for name in mcp or ())),
        budget=_budget(budget_tokens, budget_calls, budget_cost, budget_seconds),
        sampling=_sampling(temperature, max_tokens),
        seed=seed,
        graph_settings=parse_settings(set_ or ()),
        sandbox=sandbox,
        unsafe_local=_warned(unsafe_local),
        oracle=oracle,
        web_cache=web_cache,
        web_replay=web_replay,
        approve=tuple(approve or ()),
    )


def _warned(unsafe_local: bool) -> bool:
    if unsafe_local:
        print(_UNSAFE, file=sys.stderr)
    return unsafe_local


def _budget(tokens: int | None, calls: int | None, cost: float | None, seconds: float | None) -> "Budget | None":
    from maieutic.budget import Budget

    budget = Budget(tokens, calls, cost, seconds)
    return None if budget == Budget() else budget


def _sampling(temperature: float | None, max_tokens: int | None) -> "Sampling":
    """The sampling that is asked for. Raises UserError for a number out of range."""
    from maieutic.errors import UserError
    from maieutic.types import Sampling

    if temperature is not None and temperature < 0:
        raise UserError(f"A temperature of {temperature:g} is not possible: give 0 or more.")
    if max_tokens is not None and max_tokens < 1:
        raise UserError(f"A reply of {max_tokens} tokens is not possible: give 1 or more.")
    return Sampling(temperature=temperature, max_tokens=max_tokens)


def _tools(names: Iterable[str], index: str | None, database: str | None) -> tuple[str, ...]:
    """The tools by name, and those of an index and a database. Raises UserError for a database's password."""
    made = [f"retrieve@{index}", f"open_source@{index}"] if index else []
    if database:
        from maieutic.tools.sql.database import openly

        names = [name for name in names if name not in ("sql", "sql_schema")]
        made += [f"sql@{openly(database)}", f"sql_schema@{database}"]
    return (*names, *made)


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options of `run_options` in place of its parameter `options`."""
    return with_options(command, "options", run_options)


def with_options(command: Callable[..., None], place: str, read: Callable[..., Any]) -> Callable[..., None]:
    """Give `command` the options that are parameters of `read`, in place of its parameter `place`, which gets what
    `read` makes of them."""
    shared = inspect.signature(read).parameters
    own = inspect.signature(command).parameters

    @wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in shared}
        command(**{place: read(**given)}, **values)

    def order(parameter: inspect.Parameter) -> bool:
        return parameter.default is not inspect.Parameter.empty

    merged = [p for name, p in own.items() if name != place]
    at = next((i for i, p in enumerate(merged) if order(p)), len(merged))
    merged[at:at] = shared.values()
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in merged]
    run.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in keyword}
    return run


def here(text: str) -> Path:
    """A place on this machine. Raises UserError for a URL, which would else be made a folder of that name."""
    from maieutic.errors import UserError
    from maieutic.url_store import is_url

    if is_url(text):
        raise UserError(
            f"{text} is a URL: give a directory of this machine; collect, export, gate and teach take URLs."
        )
    return Path(text)


Traces = Annotated[Path | None, typer.Option(metavar="DIR", parser=here, help="Where the run is recorded.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Don't show what happens on the way.")]
