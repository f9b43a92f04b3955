"""The `maieutic` command. Only the standard library and typer are loaded before a command needs more."""

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

from maieutic.cli.ask import ask
from maieutic.cli.calibrate import calibrate
from maieutic.cli.chat import chat
from maieutic.cli.codes import FAILED, INTERRUPTED, WRONG_REQUEST
from maieutic.cli.collect import collect
from maieutic.cli.demo import SETTINGS, demo
from maieutic.cli.eval import eval_
from maieutic.cli.export import export
from maieutic.cli.gate import gate
from maieutic.cli.graphs import envs, graphs_app, models
from maieutic.cli.improve import improve
from maieutic.cli.index import index, search
from maieutic.cli.judge import judge
from maieutic.cli.model import model_app
from maieutic.cli.plan import plan
from maieutic.cli.probe import probe
from maieutic.cli.recipes import recipes
from maieutic.cli.teach import teach
from maieutic.cli.tools import tools_app
from maieutic.cli.trace import trace_app
from maieutic.errors import MaieuticError, UserError

_RIGHT, _ROOM, _PLACE = "Give yourself the right to it", "Make room on the disk", "Give another place"
_YOURS = {  # what a person can do about an error of the system
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EROFS: _PLACE,
    errno.ENOTDIR: _PLACE,
    errno.EISDIR: _PLACE,
    errno.EEXIST: _PLACE,  # a file where a folder is to be
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
}

app = typer.Typer(
    name="maieutic",
    help="Graph-defined reasoning agents over your own models, exactly recorded.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"maieutic {version('maieutic')}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


app.command()(ask)
app.command()(chat)
app.command(context_settings=SETTINGS)(demo)
app.command()(collect)
app.command()(plan)
app.command()(calibrate)
app.command()(teach)
app.command()(export)
app.command()(gate)
app.command("eval")(eval_)
app.command()(improve)
app.command()(judge)
app.command()(probe)
app.command()(index)
app.command()(search)
app.add_typer(trace_app, name="trace")
app.add_typer(graphs_app, name="graphs")
app.add_typer(tools_app, name="tools")
app.command()(recipes)
app.command()(models)
app.add_typer(model_app, name="model")
app.command()(envs)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line, or `arguments`, and exit with one of `maieutic.cli.codes`."""
    try:
        code = app(arguments, standalone_mode=False)
    except KeyboardInterrupt:
        _fail("Interrupted.", INTERRUPTED)
    except UserError as error:
        _fail(str(error), WRONG_REQUEST)
    except MaieuticError as error:
        _fail(str(error), WRONG_REQUEST if getattr(error, "kind", None) == "unreachable" else FAILED)
    except typer.Abort:
        _fail("Interrupted.", INTERRUPTED)
    except typer.TyperException as error:
        _fail(_usage(error), WRONG_REQUEST)
    except BrokenPipeError:
        os._exit(0)  # the reader of a pipe has seen enough; flushing what is left would only fail again
    except OSError as error:
        if os.environ.get("MAIEUTIC_DEBUG"):
            raise
        _fail(_refused(error), WRONG_REQUEST if error.errno in _YOURS else FAILED)
    except Exception as error:
        if os.environ.get("MAIEUTIC_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (set MAIEUTIC_DEBUG=1 to see where).", FAILED)
    sys.exit(code or 0)


def _usage(error: typer.TyperException) -> str:
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    return f"{message} See {context.command_path if context else 'maieutic'} --help."


def _refused(error: OSError) -> str:
    """What the system refused, and what to do; for files that no command has a better sentence about."""
    if error.errno not in _YOURS:
        return f"{type(error).__name__}: {error} (set MAIEUTIC_DEBUG=1 to see where)."
    name = error.filename2 or error.filename  # of a move, where it went
    where = f"{name} can't be used: " if name else ""
    return f"{where}{error.strerror}. {_YOURS[error.errno]}, then start the same command again."


def _fail(sentence: str, code: int) -> NoReturn:
    print(f"maieutic: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(code)
