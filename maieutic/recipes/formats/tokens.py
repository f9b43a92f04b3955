"""Token ids of recorded calls: which calls have them, and which have those of one tokenizer."""

from collections.abc import Iterable

from maieutic.trace.record import CallRecord


class OneTokenizer:
    """Which calls have the token ids of the first one. A trace names no tokenizer: the same chat template, or where
    none was applied the same model, is taken for the same tokens."""

    def __init__(self) -> None:
        self._template: str | None = None
        self._models: set[str] = set()

    def same(self, calls: Iterable[CallRecord]) -> bool:
        for call in calls:
            template = call.completion.template if call.completion else None
            if self._template is None and (not self._models or call.model in self._models):
                self._template = template
            elif template is not None and template != self._template:
                return False
            elif template is None and call.model not in self._models:
                return False
            self._models.add(call.model)
        return True


def has_ids(call: CallRecord) -> bool:
    """Whether the ids of a call's prompt and of its completion are both known."""
    return bool(call.completion and call.completion.prompt_token_ids is not None and call.completion.token_ids)
