"""What there is, by name: graphs, models, tools, and the version."""

import json
from importlib.metadata import version

import pytest

from maieutic.graphs.registry import graph_names
from tests.cli.conftest import Command


def test_graphs_have_a_line_each(maieutic: Command) -> None:
    described = json.loads(maieutic("graphs", "--json").out)
    assert {"critique", "debate", "direct", "self_consistency", "tool_loop"} <= set(described)
    assert all(described.values())
    lines = maieutic("graphs").out.splitlines()
    assert [line.split()[0] for line in lines] == list(described)


def test_a_graph_is_drawn(maieutic: Command) -> None:
    drawn = maieutic("graphs", "show", "debate", "--set", "judge=null").out
    assert drawn.startswith("graph TD;")
    assert "open -.-> debate;" in drawn and "open -.-> __end__;" in drawn


def test_an_unknown_graph_lists_the_known_ones(maieutic: Command) -> None:
    ended = maieutic("graphs", "show", "nope")
    assert (ended.code, ended.out) == (2, "")
    assert ", ".join(graph_names()) in ended.err


def test_models_and_tools_are_listed(maieutic: Command) -> None:
    assert {"in-box", "vllm", "yes"} <= set(json.loads(maieutic("models", "--json").out))
    assert "python" in json.loads(maieutic("tools", "--json").out)


def test_version(maieutic: Command) -> None:
    assert maieutic("--version").out == f"maieutic {version('maieutic')}\n"


@pytest.mark.parametrize("command", [[], ["trace"]])
def test_without_a_command_there_is_help(maieutic: Command, command: list[str]) -> None:
    ended = maieutic(*command)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: ") and "Commands:" in ended.out


def test_an_unknown_command_is_a_sentence(maieutic: Command) -> None:
    ended = maieutic("aks")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("maieutic: No such command 'aks'")


def test_a_tool_is_listed_with_its_policy_and_what_it_needs(maieutic: Command) -> None:
    described = json.loads(maieutic("tools", "--json").out)
    assert described["python"]["policy"]["timeout"] is None and "sandbox" in described["python"]["needs"]
    assert described["retrieve"]["unavailable"]  # there is no index here
    listed = maieutic("tools").out
    assert "no time limit, 40,000 characters · needs a sandbox" in listed and "retrieve" in listed


def test_a_tool_is_shown_with_its_schema(maieutic: Command) -> None:
    shown = maieutic("tools", "show", "retrieve").out
    assert shown.startswith("retrieve: Search the user's documents")
    assert "Not available: " in shown and "Needs: an index" in shown and "Calls: 300 s, 40,000 characters" in shown
    facts = json.loads(maieutic("tools", "show", "retrieve", "--json").out)
    assert set(facts["parameters"]["properties"]) == {"query", "k"}
    ended = maieutic("tools", "show", "nope")
    assert (ended.code, ended.out) == (2, "") and "There is no tool named 'nope'" in ended.err
