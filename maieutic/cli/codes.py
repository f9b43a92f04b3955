"""Exit codes of the command: 0 is done."""

FAILED = 1
"""A model or a tool failed, or there is no answer."""
WRONG_REQUEST = 2
"""A mistake in what was asked for; a server that isn't there among them."""
WAITING = 3
"""A tool call waits for a person's approval: `maieutic ask --resume` goes on."""
INTERRUPTED = 130
"""Ctrl-C."""
