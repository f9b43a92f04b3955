"""Dialogue memory: the newest turns of one conversation, as many as fit."""

from collections import deque

from maieutic.types import Message

DEFAULT_LIMIT = 24_000
_CUT = "\n[…]\n"


class Dialogue:
    """Keeps whole turns, newest first, up to `limit` characters (a token is about four); forgets the oldest.

    A turn is what one `remember` gave, such as a question and its answer. The newest turn is always kept: where it
    alone is longer than the limit, the middle of its texts is cut out and marked. Raises ValueError for a limit that
    leaves no room.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        if limit < 100:
            raise ValueError(f"A dialogue of {limit} characters can hold nothing: give at least 100.")
        self.limit = limit
        self._turns: deque[tuple[Message, ...]] = deque()

    async def recall(self, about: str) -> tuple[Message, ...]:
        """All that is kept, oldest first, whatever it is about."""
        return tuple(message for turn in self._turns for message in turn)

    async def remember(self, messages: tuple[Message, ...]) -> None:
        """Add a turn and forget the oldest ones that no longer fit."""
        if not messages:
            return
        share = self.limit // len(messages)
        turn = messages if _length(messages) <= self.limit else tuple(_shorten(m, share) for m in messages)
        self._turns.append(turn)
        while sum(map(_length, self._turns)) > self.limit and len(self._turns) > 1:
            self._turns.popleft()

    def clear(self) -> None:
        self._turns.clear()

    def __len__(self) -> int:
        """How many turns are kept."""
        return len(self._turns)


def _length(turn: tuple[Message, ...]) -> int:
    return sum(len(content) for message in turn if isinstance(content := message["content"], str))


def _shorten(message: Message, limit: int) -> Message:
    content = message["content"]
    if not isinstance(content, str) or len(content) <= limit:
        return message
    half = (limit - len(_CUT)) // 2
    shorter = message.copy()
    shorter["content"] = content[:half] + _CUT + content[len(content) - half :]
    return shorter
