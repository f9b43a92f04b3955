"""What happens in a run as plain lines, for logs, pipes and screen readers: no control codes, nothing redrawn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from maieutic.events import Event
from maieutic.terminal import wording


class PlainView:
    """Writes a line for every completed step of a run; `write` gets the lines without their ends."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def handle(self, event: Event) -> None:
        say = getattr(self, f"_on_{event.kind}", None)
        if say is not None:
            say(event)

    def close(self) -> None:
        """Nothing is held back."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing is drawn that could be in the way."""
        yield

    def showed(self, text: str) -> bool:
        """Whether `text` is the last thing that was shown in full: a log line never stands for the answer."""
        return False

    def _say(self, event: Event, who: str, text: str) -> None:
        place = f"[{event.branch}] " if event.branch else ""
        self._write(f"{place}{who}: {text}".replace("\n", "\n    "))

    def _on_run_started(self, event: Event) -> None:
        self._write(f"{event.data['graph']} · {event.data['model']}")

    def _on_call_finished(self, event: Event) -> None:
        text = wording.printable(event.data["text"]).strip()
        if event.data["error"] == "":
            self._say(event, event.role, "stopped, no longer needed" if event.branch else "stopped")
        elif event.data["error"] is None and text:
            self._say(event, event.role, text.rsplit("\n", 1)[-1] if event.branch else text)

    def _on_approval_requested(self, event: Event) -> None:
        called = wording.call_of(event.data["tool"], event.data["arguments"])[0]
        self._say(event, event.data["tool"], f"waits for approval: {called}")

    def _on_tool_started(self, event: Event) -> None:
        self._say(event, event.data["tool"], wording.call_of(event.data["tool"], event.data["arguments"])[0])

    def _on_tool_finished(self, event: Event) -> None:
        status = "" if event.data["status"] == "ok" else f"{event.data['status']}: "
        said = f"-> {status}{wording.printable(event.data['content']).strip()}"
        self._say(event, event.data["tool"], "\n".join([said, *wording.kept_files(event.data)]))

    def _on_vote(self, event: Event) -> None:
        self._say(event, "votes", wording.votes(event.data))

    def _on_verdict(self, event: Event) -> None:
        self._say(event, event.role, wording.verdict(event.data))

    def _on_gate(self, event: Event) -> None:
        self._say(event, "gate", wording.gate(event.data))

    def _on_confidence(self, event: Event) -> None:
        self._say(event, event.role, wording.confidence(event.data))

    def _on_branch_failed(self, event: Event) -> None:
        self._say(event, "failed", event.data["error"])

    def _on_note(self, event: Event) -> None:
        self._say(event, "note", wording.printable(str(event.data.get("text", ""))))

    def _on_run_finished(self, event: Event) -> None:
        result = event.data["result"]
        if short := wording.shortfall(result):
            self._write(short)
        self._write(wording.ending(result))
