"""`--model` as a person types it: `NAME` for all roles, `ROLE=NAME` for one."""

import re
from collections.abc import Iterable

from maieutic.errors import UserError

_OF_A_ROLE = re.compile(r"([A-Za-z][\w-]*)=(.+)")


def parse_models(given: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The models of all roles, and those of single roles by the role's name. Raises UserError for a role given twice.

    No name of a model has a plain word and `=` at its beginning; a URL's `=` comes after other signs.
    """
    names: list[str] = []
    roles: dict[str, str] = {}
    for one in given:
        match = _OF_A_ROLE.fullmatch(one)
        if match is None:
            names.append(one)
        elif match[1] in roles:
            raise UserError(f"The role {match[1]} is given two models: give it one.")
        else:
            roles[match[1]] = match[2]
    return names, roles


def parse_model(given: Iterable[str]) -> tuple[str | None, dict[str, str]]:
    """As `parse_models`, where all other roles have one model or, as None, the default; UserError for several."""
    names, roles = parse_models(given)
    if len(names) > 1:
        raise UserError(
            f"Two models are named, {names[0]} and {names[1]}: give the second one to a role, as ROLE=NAME."
        )
    return (names[0] if names else None), roles


def refuse_roles(roles: Iterable[str], who: str) -> None:
    """UserError where single roles are given models and there is but one role: that of `who`."""
    for role in roles:
        raise UserError(f"{who} is one role: give --model NAME, and leave {role}= out.")
