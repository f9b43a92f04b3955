"""`maieutic recipes`: the recipes of `maieutic export`, what each needs and gives."""

import json as json_
from dataclasses import asdict
from typing import Annotated

import typer

from maieutic.cli.options import Json


def recipes(
    wanted: Annotated[str, typer.Argument(metavar="[FILTER]", help="Only names with this in them.")] = "",
    json: Json = False,
) -> None:
    """List the recipes for training rows."""
    from maieutic.errors import UnknownName
    from maieutic.recipes.recipe import describe_recipes

    known = describe_recipes()
    found = {name: about for name, about in known.items() if wanted in name}
    if wanted and not found:
        raise UnknownName("recipe", wanted, list(known))
    if json:
        print(json_.dumps({name: asdict(about) for name, about in found.items()}, ensure_ascii=False))
        return
    width = max(map(len, found), default=0)
    for name, about in found.items():
        teacher = " and a teacher" if about.asks else ""
        print(f"{name:<{width}}  {about.line}")
        print(f"{'':<{width}}    {about.needs}{teacher} → {about.gives}".replace("`", ""))
