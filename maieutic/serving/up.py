"""Starting a server and ending it: nothing stays behind, neither a process nor a profile, where a start fails."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from maieutic.errors import MaieuticError, UserError
from maieutic.serving import adapters as adapters_
from maieutic.serving.checkpoint import Checkpoint
from maieutic.serving.command import HOST, KEY_ENV, Launch, check_extra, command, environment, given
from maieutic.serving.control import Control
from maieutic.serving.executable import find_vllm
from maieutic.serving.files import digest
from maieutic.serving.process import exit_code, start
from maieutic.serving.profiles import check_free, remove_profiles, write_profile
from maieutic.serving.records import Record, Servers
from maieutic.serving.startup import FIRST_PHASE, cause, phase, tail, telling_lines

GRACE = 20.0  # how long a server may take to end by itself
POLL = 0.25

Show = Callable[[str], None]


class StartFailed(UserError):
    """A server didn't start; `lines` are the last ones of its log."""

    def __init__(self, message: str, lines: list[str]) -> None:
        super().__init__(message)
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Up:
    """A server that is up; `already` where it was before."""

    record: Record
    already: bool


def up(
    launch: Launch,
    servers: Servers,
    installed: Path,
    *,
    port: int | None = None,
    adapters: Mapping[str, Path] | None = None,
    timeout: float = 1800.0,
    show: Show = lambda phase: None,
    env: Mapping[str, str] = os.environ,
) -> Up:
    """Start a server, or find that it is up already, and wait until it answers; then there is a profile of its name.

    `show` hears what it is doing. Raises UserError, and StartFailed where vLLM ended or took more than `timeout` s.
    """
    deadline = time.monotonic() + timeout
    check_extra(launch.extra)
    with servers.lock(launch.name):
        record = servers.find(launch.name)
        if record is not None and record.session.alive():
            _check_same(record, launch, port)
            record = _again(record, launch, servers, deadline, show)
            _load(servers, record, adapters or {}, show)
            return Up(record, already=True)
        if record is not None:
            _end(servers, record)  # what a crash or a restart of the machine has left
        for name in (launch.name, *(adapters or ())):
            check_free(servers, launch.name, name)
        wanted = replace(launch, lora_rank=adapters_.rank_for(adapters or {}, launch.lora_rank))
        record = _start(wanted, servers, installed, _port(port), env)
        with _ended_on_failure(servers, record):
            _wait(servers, record, deadline, show)
            record = _ready(servers, record, wanted.checkpoint, show)
            _load(servers, record, adapters or {}, show)
        return Up(record, already=False)


def down(servers: Servers, name: str) -> None:
    """End a server with all its processes and remove its profiles. Raises UserError."""
    servers.get(name)
    with servers.lock(name):
        _end(servers, servers.get(name))


def _check_same(record: Record, launch: Launch, port: int | None) -> None:
    """Refuse what a server that is up can't be any more; what is not asked for may be as it is. Raises UserError."""
    advice = f"take it down first (maieutic model down {record.name}), or give this one another name with --name"
    if launch.checkpoint.source not in record.command:  # the same words may mean another folder elsewhere
        raise UserError(f"{record.name} is up with another model, {record.model}: {advice}.")
    wanted = [*launch.extra, *(() if launch.max_model_len is None else ("--max-model-len", str(launch.max_model_len)))]
    missing = wanted if any(part not in record.command for part in wanted) else []
    if port and not record.url.endswith(f":{port}/v1"):
        missing += ["--port", str(port)]
    if missing:
        raise UserError(f"{record.name} is up without {' '.join(missing)}: {advice}.")
    if launch.lora_rank is not None and not record.adapters:
        raise UserError(f"{record.name} is up and takes no adapters: {advice}.")


def _again(record: Record, launch: Launch, servers: Servers, deadline: float, show: Show) -> Record:
    if record.ready:
        return record
    with _ended_on_failure(servers, record):  # the command that started it was killed
        _wait(servers, record, deadline, show)
        return _ready(servers, record, launch.checkpoint, show)


def _load(servers: Servers, record: Record, adapters: Mapping[str, Path], show: Show) -> None:
    """Load the adapters to begin with. Raises UserError."""
    for name, path in adapters.items():
        show(f"loading adapter {name}")
        check_free(servers, record.name, name)
        adapters_.load_locked(servers, record, name, path)


def _start(launch: Launch, servers: Servers, installed: Path, port: int, env: Mapping[str, str]) -> Record:
    vllm = find_vllm(launch.cpu, installed, env)
    line = command(launch, vllm, port, env)
    log = servers.log(launch.name)
    if log.exists():
        os.replace(log, log.with_suffix(".log.old"))
    try:
        session = start(line, environment(launch, vllm, env), log)
    except OSError as error:
        raise UserError(f"{vllm.path} can't be run ({error.strerror}): name another vLLM in MAIEUTIC_VLLM.") from error
    record = Record(
        name=launch.name,
        model=launch.checkpoint.wanted,
        url=f"http://{HOST}:{port}/v1",
        pid=session.pid,
        ticks=session.ticks,
        boot=session.boot,
        began=time.time(),
        version=vllm.version,
        cpu=launch.cpu,
        adapters=launch.lora_rank is not None,
        command=tuple(line),
        key_env=KEY_ENV if env.get(KEY_ENV) else None,
    )
    try:
        servers.save(record)
    except BaseException:
        session.stop(0)
        raise
    return record


def _wait(servers: Servers, record: Record, deadline: float, show: Show) -> None:
    """Wait until the server serves its model. Raises StartFailed."""
    log = servers.log(record.name)
    show(shown := FIRST_PHASE)
    with Control(record) as control:
        while True:
            code = exit_code(record.pid)
            text = tail(log)
            now = phase(text)
            if now != shown:
                show(shown := now)
            if code is not None or not record.session.alive():
                raise _failed(servers, record, f"did not start: {cause(text, code)}")
            if _serves(control, record.name):
                show("sampling a first token")
                _first_request(servers, record, control)
                return
            if time.monotonic() >= deadline:
                advice = "give it more time with --timeout, or see in its log what it waits for"
                raise _failed(servers, record, f"was not up in time, it was still {now}: {advice}")
            time.sleep(POLL)


def _serves(control: Control, name: str) -> bool:
    try:
        return control.healthy() and name in {model["id"] for model in control.models()}
    except MaieuticError:  # it answers later
        return False


def _first_request(servers: Servers, record: Record, control: Control) -> None:
    try:
        control.warm(record.name)
    except MaieuticError as error:
        raise _failed(servers, record, f"did not answer its first request: {error}") from error


def _failed(servers: Servers, record: Record, what: str) -> StartFailed:
    log = servers.log(record.name)
    return StartFailed(f"The server {record.name} {what.rstrip('.')} (its log: {log}).", telling_lines(tail(log)))


def _ready(servers: Servers, record: Record, checkpoint: Checkpoint, show: Show) -> Record:
    show("hashing the weights")
    checkpoint = checkpoint.found(given(record.command, "--revision"))
    weights = checkpoint.weights()
    if checkpoint.changed_since(record.began):
        show("the weights were written anew since the start: which of them are served is not known")
        weights = None
    record = replace(record, weights=weights, template=_template(record, checkpoint), ready=True)
    write_profile(servers, record, record.name, f"{record.model}, served by vLLM on this machine.", record.weights)
    servers.save(record)
    return record


def _template(record: Record, checkpoint: Checkpoint) -> str | None:
    """The hash of the template in force: the one given to vLLM, else the checkpoint's; None where neither is."""
    own = given(record.command, "--chat-template")
    if own is None:
        return None if given(record.command, "--tokenizer") else checkpoint.template()
    try:
        return digest(Path(own).read_bytes())
    except (OSError, ValueError):  # it is the template itself, perhaps too long for a path
        return digest(own.encode())


@contextmanager
def _ended_on_failure(servers: Servers, record: Record) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ctrl-C too
        _end(servers, record)
        raise


def _end(servers: Servers, record: Record) -> None:
    record.session.stop(GRACE)
    remove_profiles(servers, record.name)
    adapters_.remove_copies(servers, record.name)
    servers.forget(record.name)


def _port(wanted: int | None) -> int:
    """The wanted port if it is free, any free one where none is wanted. Raises UserError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "there is no such port"
            raise UserError(
                f"The port {wanted} can't be used ({reason}): give another --port, or none and a free one is chosen."
            ) from error
        return int(probe.getsockname()[1])


def as_json(record: Record) -> str:
    """What a program wants to know of a server that is up, as one JSON object."""
    names = ("name", "model", "url", "pid", "version", "cpu", "adapters", "weights", "template")
    return json.dumps({name: getattr(record, name) for name in names})
