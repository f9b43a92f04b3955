"""The slash commands, and what completes them."""

import pytest

from maieutic.budget import Budget
from maieutic.chat.commands import COMMANDS, complete, run_command
from maieutic.chat.conversation import Conversation
from maieutic.errors import UserError
from maieutic.graphs.registry import SHIPPED


async def test_graph_names_the_graph_and_its_settings(conversation: Conversation) -> None:
    assert (await run_command("/graph", conversation)).startswith(f"graph: direct (known: {', '.join(SHIPPED)}")
    told = await run_command("/graph self_consistency samples=4", conversation)
    assert told.startswith("graph: self_consistency samples=4 ")
    assert conversation.options.graph_settings == {"samples": 4}
    await run_command("/graph direct", conversation)
    assert conversation.options.graph_settings == {}


async def test_model_and_tools(conversation: Conversation) -> None:
    assert "model: yes" in await run_command("/model yes", conversation)
    assert conversation.model == "yes"
    assert (await run_command("/tools", conversation)).startswith("tools: none (known: ")
    assert (await run_command("/tools none", conversation)).startswith("tools: none")


async def test_budget_is_each_answers(conversation: Conversation) -> None:
    told = await run_command("/budget calls=3 seconds=1.5", conversation)
    assert told == "budget of an answer: calls 3, seconds 1.5"
    assert conversation.options.budget == Budget(calls=3, seconds=1.5)
    assert await run_command("/budget none", conversation) == "budget of an answer: no limits"
    assert conversation.options.budget is None


async def test_trace_says_where_the_runs_are(conversation: Conversation) -> None:
    assert await run_command("/trace", conversation) == "Nothing has been asked yet."
    result = await conversation.ask("One?")
    told = await run_command("/trace", conversation)
    assert str(result.trace) in told
    assert f"{result.run_id}  direct: 1 (1 call · " in told
    assert f"maieutic trace show {result.run_id} --traces {result.trace}" in told


async def test_new_forgets(conversation: Conversation) -> None:
    await conversation.ask("One?")
    await run_command("/new", conversation)
    assert len(conversation.memory) == 0


async def test_help_lists_every_command(conversation: Conversation) -> None:
    told = await run_command("/help", conversation)
    assert all(f"/{name}" in told for name in COMMANDS)


async def test_quit_leaves(conversation: Conversation) -> None:
    with pytest.raises(EOFError):
        await run_command("/quit", conversation)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/grpah", "There is no command named '/grpah'. Did you mean '/graph'?"),
        ("/", "There is no command named '/'."),
        ("/graph nope", "There is no graph named 'nope'."),
        ("/graph direct nope", "The setting 'nope' is not KEY=VALUE."),
        ("/model a b", "A model's name is one word"),
        ("/model nope", "There is no model named 'nope'."),
        ("/tools nope", "There is no tool named 'nope'."),
        ("/budget calls", "The setting 'calls' is not KEY=VALUE."),
        ("/budget calls=many", "The limit calls=many is not a whole number."),
        ("/budget tokens=1.5", "The limit tokens=1.5 is not a whole number."),
        ("/budget calls=0", "A budget of 0 calls"),
        ("/budget euros=1", "There is no limit named 'euros'."),
    ],
)
async def test_a_mistake_is_a_sentence_and_changes_nothing(
    conversation: Conversation, line: str, sentence: str
) -> None:
    before = conversation.options
    with pytest.raises(UserError) as error:
        await run_command(line, conversation)
    assert str(error.value).startswith(sentence)
    assert conversation.options == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/m", ["/model"]),
        ("/graph self_c", ["self_consistency"]),
        ("/model cou", ["counts"]),
        ("/tools py", ["python"]),
        ("/budget sec", ["seconds="]),
        ("/nope x", []),
        ("What is", []),
    ],
)
async def test_completion(conversation: Conversation, line: str, words: list[str]) -> None:
    assert complete(line, conversation) == words
