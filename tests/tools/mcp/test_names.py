"""Names of MCP tools: what every provider takes, and no two of them the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.errors import UserError
from maieutic.tools.mcp.names import check_server_name, tool_names_of

SERVERS = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,30}", fullmatch=True)
TOOLS = st.lists(st.text(min_size=1, max_size=130), unique=True, max_size=8)


def valid(server: str) -> bool:
    try:
        check_server_name(server)
    except UserError:
        return False
    return True


@given(SERVERS.filter(valid), SERVERS.filter(valid), TOOLS)
def test_names_are_valid_and_unique(one: str, other: str, tools: list[str]) -> None:
    names = [*tool_names_of(one, tools).values()]
    if other != one:
        names += tool_names_of(other, tools).values()
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name) for name in names)


def test_a_name_says_where_it_comes_from() -> None:
    assert tool_names_of("files", ["read", "list.all"]) == {"read": "files__read", "list.all": "files__list_all"}


def test_names_that_fall_together_are_told_apart() -> None:
    names = tool_names_of("s", ["a.b", "a_b", "a/b"])
    assert len(set(names.values())) == 3
    assert names == tool_names_of("s", ["a/b", "a_b", "a.b"])


@pytest.mark.parametrize("name", ["", "1st", "a__b", "a_", "mit leer", "ä", "x" * 32])
def test_a_server_name_that_could_be_confused_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="begin with a letter"):
        check_server_name(name)
