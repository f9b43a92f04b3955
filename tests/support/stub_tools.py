"""Tools that answer at once and always the same, under the names of the real ones: for graphs that need some."""

from maieutic.tools.tool import Tool, tool


@tool
async def python(code: str) -> str:
    """Run Python code."""
    return "7"


@tool
async def sql(query: str) -> str:
    """Run a query."""
    return "| n |\n|---|\n| 7 |\n1 row"


@tool
async def retrieve(query: str, k: int = 5) -> str:
    """Find passages."""
    return "[1] counting.md\nFour and three are seven."


@tool
async def search(query: str) -> str:
    """Search the web."""
    return "1. Counting\nhttps://example.org/counting\nFour and three are seven."


@tool
async def read_page(url: str, page: int = 1) -> str:
    """Read a page."""
    return "Four and three are seven."


STUBS: dict[str, Tool] = {one.name: one for one in (python, sql, retrieve, search, read_page)}
