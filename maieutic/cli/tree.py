"""A recorded run as a tree: branches, their calls, and what belongs to each call."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from maieutic.terminal import wording
from maieutic.trace.record import CallRecord, RunEvent, RunRecord

_LINES = 8
_WIDE = 100_000


def print_run(run: RunRecord, full: bool) -> None:
    """Print `run` on stdout; texts are cut to a few lines unless `full`."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    console.print(run_tree(run, full))


def run_tree(run: RunRecord, full: bool) -> Tree:
    """The run as it is printed."""
    tree = Tree(Text(f"run {run.header.run_id}", "bold"))
    for line in _about(run):
        tree.add(line)
    branches: dict[str, Tree] = {"": tree}
    calls: dict[str, Tree] = {}
    for call in run.calls:
        calls[call.call_id] = _add_call(_branch(branches, call.branch), call, full)
    for event in run.events:
        place = calls.get(str(event.fields.get("call_id"))) or _branch(branches, str(event.fields.get("branch") or ""))
        _add_event(place, event, full)
    if run.finish is None:
        tree.add(Text("unfinished: its process was ended, or is still at it", "yellow"))
    else:
        tree.add(_ending(run.finish))
    return tree


def _about(run: RunRecord) -> Iterable[Text]:
    header = run.header
    begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(header.started))
    settings = "".join(f" {key}={value}" for key, value in header.settings.items())
    yield Text(f"{header.graph}{settings} · {', '.join(header.models)} · seed {header.seed} · {begun}", "dim")
    if header.tools:
        yield Text(f"tools: {', '.join(header.tools)}", "dim")
    yield Text(f"question: {wording.printable(str(header.task.get('question', '')))}")


def _branch(branches: dict[str, Tree], path: str) -> Tree:
    if path not in branches:
        parent, _, name = path.rpartition("/")
        branches[path] = _branch(branches, parent).add(Text(name, "cyan"))
    return branches[path]


def _add_call(place: Tree, call: CallRecord, full: bool) -> Tree:
    done = call.completion
    facts = [f"{call.t1 - call.t0:.1f} s"]
    if done is not None:
        facts = [f"{done.usage.prompt_tokens}+{done.usage.completion_tokens} tokens", *facts]
        if done.finish_reason:
            facts.append(done.finish_reason)
    facts += [f"{parent.type} of {parent.call_id}" for parent in call.parents]
    label = Text.assemble((call.role or "call", "bold"), f" {call.call_id}", (f"  {', '.join(facts)}", "dim"))
    node = place.add(label)
    if full:
        for message in call.request.messages:
            content = message["content"]
            text = content if isinstance(content, str) else str(content)
            node.add(Text.assemble((f"{message['role']}: ", "dim"), (wording.printable(text), "dim")))
    if done is not None and done.reasoning:
        node.add(Text(_cut(done.reasoning, full), "dim italic"))
    if done is not None and done.text.strip():
        node.add(Text(_cut(done.text, full)))
    if call.cancelled:
        node.add(Text("stopped, no longer needed", "dim"))
    elif call.error:
        node.add(Text(wording.printable(call.error), "red"))
    return node


def _add_event(place: Tree, event: RunEvent, full: bool) -> None:
    fields = event.fields
    match event.kind:
        case "tool_result":
            source, _ = wording.call_of(str(fields["name"]), str(fields["arguments"]))
            used = place.add(Text.assemble((str(fields["name"]), "bold blue"), (f"  {fields['seconds']:.2f} s", "dim")))
            used.add(Text(_cut(source, full)))
            style = "" if fields["status"] == "ok" else "red"
            used.add(Text(f"-> {_cut(str(fields['content']), full)}", style))
        case "vote":
            place.add(Text.assemble(("votes ", "bold"), wording.votes(fields)))
        case "verdict":
            place.add(Text(f"→ {wording.verdict(fields)}", "yellow"))
        case "gate":
            place.add(Text(f"→ {wording.gate(fields)}", "yellow"))
        case "confidence":
            place.add(Text(f"→ {wording.confidence(fields)}", "yellow"))
        case "reward":
            place.add(Text(f"reward {fields.get('name')}: {fields.get('value')}"))
        case "note":
            place.add(Text(wording.printable(str(fields.get("text", ""))), "dim"))
        case _:
            said = {k: v for k, v in fields.items() if k not in ("node", "branch")}
            place.add(Text(f"{event.kind}: {wording.printable(str(said))}", "dim"))


def _ending(finish: RunEvent) -> Text:
    fields = finish.fields
    answer = fields.get("answer")
    parts = [f"answer: {wording.printable(str(answer))}" if answer is not None else "no readable answer"]
    if fields.get("outcome"):
        parts.append(str(fields["outcome"]).replace("_", " "))
    if fields.get("partial"):
        parts.append(f"partial: {fields.get('reason')}")
    return Text(" · ".join(parts), "bold")


def _cut(text: str, full: bool) -> str:
    lines = wording.printable(text).strip().split("\n")
    if full or len(lines) <= _LINES:
        return "\n".join(lines)
    return "\n".join([*lines[:_LINES], f"… {len(lines) - _LINES} more lines"])
