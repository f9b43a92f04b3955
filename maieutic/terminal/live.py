"""What happens in a run, live on a terminal: what is finished scrolls up, only what is open is redrawn."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from maieutic.events import Event
from maieutic.terminal import wording
from maieutic.terminal.board import Board
from maieutic.terminal.echo import keys_silent
from maieutic.terminal.indented import Indented
from maieutic.terminal.markdown import BlockStream, readable

CODE_THEME = "ansi_dark"
_OUTPUT_LINES = 12
_MARGIN = 6
_ROLES = {"solver": "cyan", "critic": "yellow", "refiner": "green", "debater": "magenta", "judge": "blue"}


class Speech:
    """One reply on its way: its finished blocks are printed, the open one is drawn."""

    def __init__(self, console: Console, event: Event) -> None:
        self.call_id = event.data["call_id"]
        self.role = event.role
        self.text = ""
        self._console = console
        self._blocks = BlockStream()
        self._thought = ""
        self._printed = False
        self._began = time.monotonic()

    def hear(self, text: str, reasoning: str) -> None:
        if reasoning:
            self._thought += wording.printable(reasoning)
        if text:
            self._say(wording.printable(text))

    def end(self, text: str) -> None:
        """Print what is still open; `text` is the whole reply, for a model that does not stream."""
        if not self.text.strip() and text.strip():
            self._say(wording.printable(text))
        for block in self._blocks.finish():
            self._print(block)

    def draw(self, height: int) -> RenderableType:
        block = self._blocks.open_block(height)
        if block.strip():
            drawn = Indented(Markdown(readable(block), code_theme=CODE_THEME))
            return Group(Text(""), drawn) if self._printed else drawn
        if self._thought and not self.text:
            lines = [line for line in self._thought.split("\n") if line.strip()][-4:]
            thought = Indented(Text("\n".join(lines), "dim italic"))
            return Group(Spinner("dots", Text(f"{self.role} thinks", "dim"), style="cyan"), thought)
        return Spinner("dots", Text(self.role, "dim"), style="cyan") if not self.text else Group()

    def _say(self, text: str) -> None:
        if not self.text.strip() and text.strip():
            self._console.print()
            self._console.print(Text(self.role, f"bold {_ROLES.get(self.role, 'cyan')}"))
            if self._thought:
                self._console.print(Indented(Text(f"thought for {time.monotonic() - self._began:.0f} s", "dim italic")))
        self.text += text
        for block in self._blocks.feed(text):
            self._print(block)

    def _print(self, block: str) -> None:
        if self._printed:
            self._console.print()
        self._printed = True
        self._console.print(Indented(Markdown(readable(block), code_theme=CODE_THEME)))


class LiveView:
    """Shows a run on `console`. A single line of work streams its text; parallel branches get a line each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._speech: Speech | None = None
        self._board: Board | None = None
        self._waiting: str | None = None
        self._last = ""
        self._keys = ExitStack()
        self._live = Live(self, console=console, transient=True, refresh_per_second=10, redirect_stdout=False)

    def handle(self, event: Event) -> None:
        if event.branch:
            self._on_branch(event)
            return
        show = getattr(self, f"_on_{event.kind}", None)
        if show is not None:
            show(event)

    def close(self) -> None:
        """End what is open and give the terminal back; safe to call twice."""
        if self._speech is not None:
            self._speech.end("")
            self._speech = None
        self._close_board()
        self._waiting = None
        self._live.stop()
        self._keys.close()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Stop drawing and let keys be seen within the block."""
        shown = self._live.is_started
        self._live.stop()
        self._keys.close()
        try:
            yield
        finally:
            if shown:
                self._keys.enter_context(keys_silent())
                self._live.start()

    def showed(self, text: str) -> bool:
        return self._last.strip() == wording.printable(text).strip()

    def __rich__(self) -> RenderableType:
        """What is open now."""
        height = max(4, self._console.height - _MARGIN)
        if self._speech is not None:
            return self._speech.draw(height)
        if self._board is not None:
            return self._board.draw(height)
        if self._waiting is not None:
            return Spinner("dots", Text(self._waiting, "dim"), style="cyan")
        return Group()

    def _on_branch(self, event: Event) -> None:
        if self._board is None or self._board.node != event.node:
            self._close_board()
            self._board = Board(event.node)
        self._board.handle(event)

    def _close_board(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            self._console.print()
            self._console.print(board.summary())
            self._last = ""

    def _on_run_started(self, event: Event) -> None:
        self._keys.enter_context(keys_silent())
        self._live.start()
        self._console.print(Text(f"{event.data['graph']} · {event.data['model']}", "dim"))

    def _on_call_started(self, event: Event) -> None:
        self._close_board()
        if self._speech is None:
            self._speech = Speech(self._console, event)

    def _on_delta(self, event: Event) -> None:
        if self._speech is not None and self._speech.call_id == event.data["call_id"]:
            self._speech.hear(event.data["text"], event.data["reasoning"])

    def _on_call_finished(self, event: Event) -> None:
        speech = self._speech
        if speech is None or speech.call_id != event.data["call_id"]:
            speech = Speech(self._console, event)
        else:
            self._speech = None
        speech.end(event.data["text"])
        self._last = speech.text

    def _on_approval_requested(self, event: Event) -> None:
        if not event.data["asked"]:  # else whoever asks shows it
            self._on_tool_started(event)
            self._waiting = None

    def _on_tool_started(self, event: Event) -> None:
        if event.data.get("approved"):  # it was shown when it was asked about
            self._waiting = event.data["tool"]
            return
        source, is_code = wording.call_of(event.data["tool"], event.data["arguments"])
        self._console.print()
        self._console.print(Text(event.data["tool"], "bold blue"))
        language = "python" if is_code else "text"
        self._console.print(Indented(Syntax(source, language, theme=CODE_THEME, word_wrap=True)))
        self._waiting = event.data["tool"]

    def _on_tool_finished(self, event: Event) -> None:
        self._waiting = None
        lines = wording.printable(event.data["content"]).strip().split("\n")
        style = "dim" if event.data["status"] == "ok" else "red"
        shown = lines[:_OUTPUT_LINES]
        if len(lines) > _OUTPUT_LINES:
            shown.append(f"… {len(lines) - _OUTPUT_LINES} more lines")
        self._console.print(Indented(Text("\n".join([*shown, *wording.kept_files(event.data)]), style)))

    def _on_vote(self, event: Event) -> None:
        if self._board is not None:
            self._board.vote = event.data
        else:
            self._console.print(Text.assemble(("votes ", "bold"), wording.votes(event.data)))

    def _on_verdict(self, event: Event) -> None:
        self._console.print(Text(f"→ {wording.verdict(event.data)}", "yellow"))

    def _on_gate(self, event: Event) -> None:
        self._console.print(Text(f"→ {wording.gate(event.data)}", "yellow"))

    def _on_confidence(self, event: Event) -> None:
        self._console.print(Text(f"→ {wording.confidence(event.data)}", "yellow"))

    def _on_note(self, event: Event) -> None:
        self._console.print(Text(wording.printable(str(event.data.get("text", ""))), "dim"))

    def _on_run_finished(self, event: Event) -> None:
        self.close()
        result = event.data["result"]
        if short := wording.shortfall(result):
            self._console.print(Text(short, "yellow"))
        self._console.print()
        self._console.print(Text(wording.ending(result), "dim"))
