"""What a user sets once: YAML files read into typed values, with errors that name the file, the line and the field.

`load_yaml` is how every YAML file of Maieutic is read. `Settings` is the user's `config.yaml`; everything in it is
optional.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maieutic.errors import ConfigError

T = TypeVar("T", bound=BaseModel)
Location = tuple[int | str, ...]


class Strict(BaseModel):
    """Base of everything read from YAML: unknown fields are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class McpServer(Strict):
    """An MCP server whose tools a model may use: a `command` to start, or a `url` (streamable HTTP).

    A command's environment is PATH, the values of `env`, and those of our own variables that `pass_env` names.
    `headers_env` names the variable that holds each header's value. `tools` are the server's own names, or all; a call
    may take `timeout` seconds.
    """

    command: list[str] | None = Field(default=None, min_length=1)
    env: dict[str, str] = {}
    pass_env: list[str] = []
    url: str | None = None
    headers_env: dict[str, str] = {}
    tools: list[str] | Literal["all"]
    timeout: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _one_way(self) -> "McpServer":
        if (self.command is None) == (self.url is None):
            raise ValueError("give either a command or a url")
        if self.command is None and (self.env or self.pass_env):
            raise ValueError("env and pass_env belong to a command")
        if self.url is None and self.headers_env:
            raise ValueError("headers_env belongs to a url")
        return self


class WebSettings(Strict):
    """How the web is searched and read.

    `search` names the provider that searches, by default the first that is set up. `allow_hosts` may be read although
    they are not public. `agent` is what the reader calls itself; `robots` is whether robots.txt is heeded; `delay` the
    seconds a host is left alone between two requests. `cache` is a folder in which everything fetched is recorded, or,
    with `cache_mode` replay, found.
    """

    search: str | None = None
    allow_hosts: tuple[str, ...] = ()
    agent: str = Field(default="maieutic", pattern=r"^[\x20-\x7e]+$")
    robots: bool = True
    delay: float = Field(default=0.0, ge=0, le=600)
    cache: Path | None = None
    cache_mode: Literal["record", "replay"] = "record"


class Settings(Strict):
    """The user's settings. Paths are absolute once loaded; relative ones are taken from the file's directory.

    `sandbox` demands one isolation of model-written code by its name; by default it is the best that works.
    `approve` names tools whose calls a person is asked about, or `all`.
    `traces_dir` is where runs are recorded, `prompts_dir` holds prompt files that override the shipped ones, and
    `models_dir` the user's model profiles. `mcp` are MCP servers by name.
    """

    model: str = "in-box"
    graph: str = "direct"
    sandbox: str | None = None
    approve: tuple[str, ...] = ()
    traces_dir: Path = Path("traces")
    prompts_dir: Path | None = None
    models_dir: Path = Path("models")
    web: WebSettings = WebSettings()
    mcp: dict[str, McpServer] = {}


def config_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Where settings are read: MAIEUTIC_CONFIG, or MAIEUTIC_HOME, or XDG_CONFIG_HOME/maieutic."""
    explicit = env.get("MAIEUTIC_CONFIG") or env.get("MAIEUTIC_HOME")
    if explicit:
        return Path(explicit).expanduser().absolute()
    return Path(env.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "maieutic"


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Where Maieutic keeps what it writes: MAIEUTIC_HOME, or XDG_STATE_HOME/maieutic."""
    explicit = env.get("MAIEUTIC_HOME")
    if explicit:
        return Path(explicit).expanduser().absolute()
    return Path(env.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "maieutic"


def load_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """Read `config.yaml` from the configuration directory; all defaults where there is none. Raises ConfigError."""
    directory = config_dir(env)
    path = directory / "config.yaml"
    settings = load_yaml(path, Settings) if path.exists() else Settings()
    paths = {
        name: directory / value.expanduser()
        for name in ("traces_dir", "prompts_dir", "models_dir")
        if (value := getattr(settings, name)) is not None
    }
    if "traces_dir" not in settings.model_fields_set:
        paths["traces_dir"] = state_dir(env) / "traces"
    if settings.web.cache is not None:
        web = settings.web.model_copy(update={"cache": directory / settings.web.cache.expanduser()})
        settings = settings.model_copy(update={"web": web})
    return settings.model_copy(update=paths)


def load_yaml(path: Path, kind: type[T]) -> T:
    """Read a YAML file as a `kind`. Raises ConfigError with file, line, field and what to do."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path} can't be read: {reason}.") from error
    return parse_yaml(text, kind, str(path))


def parse_yaml(text: str, kind: type[T], source: str) -> T:
    """Read YAML text as a `kind`; `source` names it in errors. Raises ConfigError."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{source}, line {line}: this is not valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: this is not valid YAML: it holds a character that is not text.") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{source}, line 1: fields are expected, written as 'name: value'.")
    _refuse_repeated(node, source)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, node, kind, source)) from error


def line_of(text: str, location: Location) -> int:
    """The line, from 1, at which a part of YAML text stands: keys and places from the top, as ("edges", 2, "to")."""
    return _line(yaml.compose(text, Loader=yaml.SafeLoader), location)


def _refuse_repeated(node: yaml.Node | None, source: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_repeated(child, source)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: the field {key.value!r} is given twice; remove one.")
            if isinstance(key.value, str):
                seen.add(key.value)
            _refuse_repeated(value, source)


def _explain(error: ValidationError, node: yaml.Node | None, kind: type[BaseModel], source: str) -> str:
    problem = error.errors()[0]
    location: Location = problem["loc"]
    field = ".".join(map(str, location))
    place = f"{source}, line {_line(node, location)}"
    if problem["type"] == "extra_forbidden":
        known = _known_fields(kind, location[:-1])
        close = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"{place}: there is no field {field!r}.{hint} Known: {', '.join(known)}."
    if problem["type"] == "missing":
        return f"{place}: the field {field!r} is missing; add it."
    message = problem["msg"].removeprefix("Value error, ")
    shown = f" (it is {problem['input']!r})" if isinstance(problem["input"], str | int | float | bool) else ""
    return f"{place}, field {field!r}: {message[:1].lower()}{message[1:]}{shown}." if field else f"{place}: {message}."


def _line(node: yaml.Node | None, location: Location) -> int:
    """The line of the deepest part of `location` that is in the file."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            item: yaml.Node = node.value[part]
            line, node = item.start_mark.line + 1, item
    return line


def _known_fields(kind: type[BaseModel], location: Location) -> list[str]:
    current: type[BaseModel] = kind
    for part in location:
        field = current.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            break
        current = inner
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
