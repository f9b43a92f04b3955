"""What a line that begins with a slash does in a conversation."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from maieutic.budget import Budget
from maieutic.chat.conversation import Conversation
from maieutic.errors import UnknownName, UserError
from maieutic.terminal import wording
from maieutic.terminal.settings import parse_settings

Action = Callable[[Conversation, list[str]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Command:
    """One slash command. `names` lists what may follow it, for completion."""

    usage: str
    help: str
    action: Action
    names: Callable[[Conversation], Iterable[str]] = lambda conversation: ()


async def run_command(line: str, conversation: Conversation) -> str:
    """Do what `line` says and return what there is to tell. Raises UserError, or EOFError to leave."""
    name, *words = line.removeprefix("/").split() or [""]
    if name not in COMMANDS:
        raise UnknownName("command", f"/{name}", (f"/{known}" for known in COMMANDS))
    return await COMMANDS[name].action(conversation, words)


def complete(line: str, conversation: Conversation) -> list[str]:
    """The words that may stand where `line` ends, if it is a command."""
    if not line.startswith("/"):
        return []
    *before, last = line.split(" ")
    if not before:
        return [f"/{name}" for name in COMMANDS if f"/{name}".startswith(last)]
    command = COMMANDS.get(before[0].removeprefix("/"))
    return [name for name in command.names(conversation) if name.startswith(last)] if command else []


async def _graph(conversation: Conversation, words: list[str]) -> str:
    if words:
        name, *pairs = words
        options = replace(conversation.options, graph=name, graph_settings=parse_settings(pairs))
        await conversation.change(options)
    return f"graph: {conversation.graph}{_settings(conversation)} (known: {', '.join(_graph_names(conversation))})"


async def _model(conversation: Conversation, words: list[str]) -> str:
    if len(words) > 1:
        raise UserError("A model's name is one word: /model NAME.")
    if words:
        await conversation.change(replace(conversation.options, model=words[0]))
    return f"model: {conversation.model} (profiles: {', '.join(_model_names(conversation))})"


async def _tools(conversation: Conversation, words: list[str]) -> str:
    if words:
        tools = () if words == ["none"] else tuple(words)
        await conversation.change(replace(conversation.options, tools=tools))
    known = ", ".join(_tool_names(conversation))
    return f"tools: {', '.join(conversation.options.tools) or 'none'} (known: {known})"


async def _budget(conversation: Conversation, words: list[str]) -> str:
    if words:
        budget = None if words == ["none"] else _read_budget(words)
        await conversation.change(replace(conversation.options, budget=budget))
    budget = conversation.options.budget
    limits = [f"{n} {getattr(budget, n):g}" for n in ("tokens", "calls", "seconds", "cost") if getattr(budget, n, None)]
    return f"budget of an answer: {', '.join(limits) or 'no limits'}"


def _read_budget(pairs: list[str]) -> Budget:
    limits = parse_settings(pairs)
    for name, value in limits.items():
        whole = name in ("tokens", "calls")
        if name not in ("tokens", "calls", "seconds", "cost"):
            raise UnknownName("limit", name, ("tokens", "calls", "seconds", "cost"))
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise UserError(f"The limit {name}={value} is not a {'whole ' if whole else ''}number.")
    return Budget(**limits)


async def _trace(conversation: Conversation, words: list[str]) -> str:
    if not conversation.results:
        return "Nothing has been asked yet."
    lines = [f"recorded in {conversation.results[-1].trace}"]
    for result in conversation.results:
        answer = " ".join(wording.printable(result.answer or result.text or "no answer").split())
        shown = answer if len(answer) <= 40 else f"{answer[:39]}…"
        lines.append(f"  {result.run_id}  {result.graph}: {shown} ({wording.usage(result.usage)})")
    last = conversation.results[-1]
    return "\n".join([*lines, f"read the last one: maieutic trace show {last.run_id} --traces {last.trace}"])


async def _new(conversation: Conversation, words: list[str]) -> str:
    conversation.forget()
    return "A new conversation: what was said before is forgotten."


async def _help(conversation: Conversation, words: list[str]) -> str:
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"  {command.usage:<{width}}  {command.help}" for command in COMMANDS.values()]
    return "\n".join([*lines, "  Ctrl-C ends an answer, Ctrl-D leaves."])


async def _quit(conversation: Conversation, words: list[str]) -> str:
    raise EOFError


def _settings(conversation: Conversation) -> str:
    return "".join(f" {key}={value}" for key, value in conversation.options.graph_settings.items())


def _graph_names(conversation: Conversation) -> list[str]:
    from maieutic.graphs.registry import graph_names

    return graph_names()


def _model_names(conversation: Conversation) -> list[str]:
    from maieutic.llm.registry import model_names

    return model_names(conversation.settings)


def _tool_names(conversation: Conversation) -> list[str]:
    from maieutic.tools.registry import tool_names

    return tool_names()


COMMANDS = {
    "graph": Command("/graph [NAME [KEY=VALUE…]]", "who speaks when", _graph, _graph_names),
    "model": Command("/model [NAME]", "who answers", _model, _model_names),
    "tools": Command("/tools [NAME… | none]", "what the model may use", _tools, lambda c: [*_tool_names(c), "none"]),
    "budget": Command(
        "/budget [LIMIT=N… | none]",
        "limits of an answer: tokens, calls, seconds, cost",
        _budget,
        lambda c: ["tokens=", "calls=", "seconds=", "cost=", "none"],
    ),
    "trace": Command("/trace", "where the runs are recorded", _trace),
    "new": Command("/new", "forget what was said", _new),
    "help": Command("/help", "this list", _help),
    "quit": Command("/quit", "leave", _quit),
}
