"""`maieutic tools`: which tools there are, whether they work here, and how their calls are run."""

import json as json_
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.options import Json

if TYPE_CHECKING:
    from maieutic.tools.tool import Tool

tools_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@tools_app.callback()
def tools(context: typer.Context, json: Json = False) -> None:
    """List the tools, and whether they work here; show NAME prints one's schema."""
    if context.invoked_subcommand is not None:
        return
    import asyncio

    described = asyncio.run(_describe_all())
    if json:
        print(json_.dumps(described, ensure_ascii=False))
        return
    width = max(map(len, described), default=0)
    for name, facts in described.items():
        reason = facts["unavailable"]
        about = facts["description"] if reason is None else f"Not available: {reason}"
        print(f"{name:<{width}}  {about}".rstrip())
        needs = f" · needs {facts['needs']}" if facts["needs"] else ""
        if facts["policy"] is not None:
            print(f"{'':<{width}}  {_policy(facts['policy'])}{needs}")


@tools_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A tool's name, a dotted path, or NAME@WHAT.")],
    json: Json = False,
) -> None:
    """Print what a model is told of a tool, its JSON schema among it, and how its calls are run."""
    import asyncio

    one, unavailable = asyncio.run(_load(name))
    facts = {**_facts(one, unavailable), "description": one.description, "parameters": one.spec.parameters}
    if json:
        print(json_.dumps({"name": one.name, **facts}, ensure_ascii=False))
        return
    print(f"{one.name}: {one.description}\n")
    if unavailable is not None:
        print(f"Not available: {unavailable}")
    if one.needs:
        print(f"Needs: {one.needs}")
    print(f"Calls: {one.policy}")
    print(json_.dumps(one.spec.parameters, indent=2, ensure_ascii=False))


async def _describe_all() -> dict[str, dict[str, Any]]:
    from maieutic.errors import UserError
    from maieutic.tools.registry import tool_names

    described: dict[str, dict[str, Any]] = {}
    for name in tool_names():
        try:
            described[name] = _facts(*await _load(name))
        except UserError as error:
            described[name] = {"description": "", "policy": None, "needs": "", "unavailable": str(error)}
    return described


async def _load(name: str) -> "tuple[Tool, str | None]":
    """A tool, ready where it works here, and else why it doesn't. Raises UserError where there is none."""
    from maieutic.errors import UserError
    from maieutic.tools.registry import find_tool, load_tools

    if name.startswith("mcp:"):
        return await _listed(name), None
    found = find_tool(name)
    try:
        return (await load_tools([found]))[found.name], None
    except UserError as error:
        return found, str(error)


async def _listed(name: str) -> "Tool":
    """A tool of an MCP server in the settings. Raises UserError where not one tool is meant."""
    from maieutic.errors import UserError
    from maieutic.settings import load_settings
    from maieutic.tools.opening import open_tools
    from maieutic.tools.options import ToolOptions

    async with open_tools([name], ToolOptions(mcp=load_settings().mcp)) as opened:
        if "/" not in name:
            raise UserError(f"Name one tool of the server, as {name}/TOOL. It gives {', '.join(opened)}.")
        (one,) = opened.values()
        return one


def _facts(one: "Tool", unavailable: str | None) -> dict[str, Any]:
    return {
        "description": one.description.split("\n", 1)[0],
        "policy": one.policy.facts(),
        "needs": one.needs,
        "unavailable": unavailable,
    }


def _policy(facts: dict[str, Any]) -> str:
    from maieutic.tools.policy import Policy

    return str(Policy(**facts))
