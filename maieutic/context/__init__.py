"""What an agent sees of its run."""

from maieutic.context.context import Context
from maieutic.context.state import Branch, Kept, Past, Prompts, Proposal, RunState, Utterance

__all__ = ["Branch", "Context", "Kept", "Past", "Prompts", "Proposal", "RunState", "Utterance"]
