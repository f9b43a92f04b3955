"""Role prompts: plain text files that a user can override without touching code.

A prompt file is `<role>.txt`: the system message, a line `---`, and the template of the user message with `{fields}`.
It is looked for in the user's prompt folders, then in the folder that the model's profile names, then here.
"""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from maieutic.context import Context
from maieutic.errors import ConfigError
from maieutic.tasks.task import PublicTask, options
from maieutic.tools.inputs import FOLDER, files_of, named
from maieutic.types import Message


def opening(ctx: Context, role: str, /, speaker: str = "", **fields: str) -> tuple[Message, ...]:
    """The system and user message with which `role` is asked, `{question}` among the fields wherever it is not given.

    `speaker` is who it is asked of, where several speak by the prompt of one role: its model may have prompts of its
    own. Raises ConfigError for a broken prompt file.
    """
    key = (role, ctx.model_for(speaker or role).profile.prompts)
    if key not in ctx.run.prompts:
        ctx.run.prompts[key] = _prompt(*key, ctx.run.prompt_folders)
    system, user = ctx.run.prompts[key]
    return (
        {"role": "system", "content": system},
        {"role": "user", "content": _fill(user, {"question": stated(ctx.task), **fields}, role)},
    )


def stated(task: PublicTask) -> str:
    """The question; under it the options of a multiple choice where it doesn't name them all itself, and its files."""
    question = task["question"]
    if not task["inputs"]:
        return question
    labelled = options(task["inputs"])
    given = ", ".join(f"{FOLDER}/{name}" for name in named(files_of(task["inputs"])))
    if given:
        question = f"{question}\n\nFiles that the python tool can read: {given}"
    if all(text in question for text in labelled.values()):
        return question
    return "\n".join([question, "", *(f"{label}) {text}" for label, text in labelled.items())])


def _prompt(role: str, family: str | None, folders: tuple[Path, ...]) -> tuple[str, str]:
    shipped = files("maieutic.agents") / "prompts"
    places: list[Traversable] = [folder / f"{role}.txt" for folder in folders]
    places += [shipped / family / f"{role}.txt"] if family else []
    places.append(shipped / f"{role}.txt")
    for place in places:
        if place.is_file():
            return _split(_read(place), str(place))
    raise ConfigError(f"There is no prompt for the role {role!r}: write {role}.txt in your prompts folder.")


def _read(place: Traversable) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place} can't be read: it is not UTF-8 text.") from error


def _split(text: str, place: str) -> tuple[str, str]:
    system, line, user = text.partition("\n---\n")
    if not line:
        raise ConfigError(f"{place}: a prompt needs a line '---' between the system message and the user template.")
    return system.strip(), user.strip("\n")


def _fill(template: str, fields: dict[str, str], role: str) -> str:
    """Put the fields in. Braces in the values are safe; a name the role does not have is an error."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in fields:
            known = ", ".join(sorted(fields))
            raise ConfigError(f"The prompt of {role} uses {{{name}}}, which it is not given. Known: {known}.")
        return fields[name]

    return re.sub(r"\{([a-z_]+)\}", value, template)
