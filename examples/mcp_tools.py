"""Tools of an MCP server: started as a process of its own, named, and used by a model like any other tool."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import maieutic
from maieutic.llm.scripted import call_tool
from maieutic.tools.mcp import mcp_tools

SERVER = '''
from mcp.server.mcpserver import MCPServer

server = MCPServer("library", version="1.0", log_level="CRITICAL")
SHELVES = {"Plato": "A3", "Euclid": "C1"}


@server.tool()
def shelf(author: str) -> str:
    """On which shelf an author's books stand."""
    return SHELVES[author]


@server.tool()
def lend(author: str) -> str:
    """Take an author's books from the shelf."""
    return SHELVES.pop(author)


server.run()
'''

if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        program = Path(folder, "library.py")
        program.write_text(SERVER)
        library = mcp_tools("library", command=[sys.executable, str(program)], tools=["shelf"])  # lend is not for it
        model = maieutic.ScriptedModel([call_tool("library__shelf", author="Euclid"), "Answer: C1"])
        result = maieutic.run("Where does Euclid stand?", "tool_loop", model=model, tools=[library])
        print(result.answer)
