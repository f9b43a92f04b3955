"""The loop: lines in, answers out, whatever goes wrong between."""

import io
from collections.abc import Awaitable, Callable
from pathlib import Path

from prompt_toolkit.application import create_app_session
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from maieutic.chat.commands import complete
from maieutic.chat.conversation import Conversation
from maieutic.chat.loop import Chat
from maieutic.chat.prompt import CommandCompleter, open_terminal_prompt
from maieutic.settings import load_settings
from maieutic.terminal.options import RunOptions


def lines(*given: str | type[BaseException]) -> Callable[[], Awaitable[str]]:
    rest = iter([*given, EOFError])

    async def read() -> str:
        line = next(rest)
        if isinstance(line, str):
            return line
        raise line

    return read


async def talk(*given: str | type[BaseException], **options: str) -> str:
    console = Console(file=io.StringIO(), width=200)
    conversation = Conversation(RunOptions(**{"model": "yes", **options}), load_settings())  # type: ignore[arg-type]
    await Chat(conversation, console, lines(*given)).run()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_questions_and_commands_take_turns() -> None:
    said = await talk("What?", "", "/graph self_consistency samples=2", "And now?")
    assert "solver: Six times seven." in said
    assert "graph: self_consistency samples=2" in said
    assert "votes: 42 ×1 (1 of 2)" in said
    assert said.count("Answer: 42") >= 3


async def test_errors_are_sentences_and_the_chat_goes_on() -> None:
    said = await talk("What?", "/model yes", "What?", "/nope", model="lost")
    assert "No rule of the script" in said
    assert "solver: Six times seven." in said
    assert "There is no command named '/nope'." in said


async def test_an_unknown_graph_at_the_start_is_no_end() -> None:
    said = await talk("What?", "/graph direct", "What?", graph="nope")
    assert "There is no graph named 'nope'." in said
    assert "solver: Six times seven." in said


async def test_a_graph_that_breaks_is_no_end(tmp_path: Path) -> None:
    graph = tmp_path / "broken.py"
    graph.write_text(
        '"""Broken."""\nfrom maieutic.graphs.graph import GraphSettings as Settings\ndef build(s): 1 / 0\n'
    )
    said = await talk("What?", "/graph direct", "What?", graph=str(graph))
    assert "ZeroDivisionError: division by zero" in said
    assert "solver: Six times seven." in said


async def test_ctrl_c_at_the_prompt_only_says_how_to_leave() -> None:
    assert "Ctrl-D leaves." in await talk(KeyboardInterrupt, "/new")


async def test_quit_ends_it() -> None:
    assert "graph:" not in await talk("/quit", "/graph")


async def test_the_prompt_keeps_history_for_the_next_time(tmp_path: Path) -> None:
    history = tmp_path / "state" / "history"
    for typed, read in (("first\rsecond\r", ["first", "second"]), ("\x1b[A\x1b[A\r", ["first"])):
        with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
            prompt = open_terminal_prompt(history, lambda text: [])
            keys.send_text(typed)
            assert [await prompt() for _ in read] == read


async def test_without_a_place_for_history_it_still_reads(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        prompt = open_terminal_prompt(tmp_path / "file" / "history", lambda text: [])
        keys.send_text("typed\r")
        assert await prompt() == "typed"


def test_completions_replace_the_last_word(conversation: Conversation) -> None:
    from prompt_toolkit.completion import CompleteEvent

    completer = CommandCompleter(lambda text: complete(text, conversation))
    found = list(completer.get_completions(Document("/graph self_c"), CompleteEvent()))
    assert [(c.text, c.start_position) for c in found] == [("self_consistency", -6)]
