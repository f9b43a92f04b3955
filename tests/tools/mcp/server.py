"""An MCP server for tests, made with the SDK: run as `python server.py` on stdio, or `python server.py http`."""

import asyncio
import base64
import os
import socket
import sys
from typing import Any

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import EmbeddedResource, ResourceLink, TextContent, TextResourceContents, ToolAnnotations
from pydantic import BaseModel

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class City(BaseModel):
    name: str


def make_server() -> MCPServer:
    server = MCPServer("tests", version="0.1", log_level="CRITICAL")

    @server.tool()
    def add(a: int, b: int = 10) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def refuse() -> str:
        raise ToolError("There is no such city: name another.")

    @server.tool()
    def boom() -> str:
        raise RuntimeError("a detail that is nobody's business")

    @server.tool(structured_output=False)
    def parts() -> list[Any]:
        inner = TextResourceContents(uri="file:///notes.txt", text="Noted.", mime_type="text/plain")
        link = ResourceLink(type="resource_link", name="more", uri="https://example.org/more", description="the rest")
        return [
            TextContent(type="text", text="Look:"),
            Image(data=PIXEL, format="png"),
            EmbeddedResource(type="resource", resource=inner),
            link,
        ]

    @server.tool()
    def greet(session: str) -> dict[str, str]:
        return {"session": session}

    @server.tool()
    def environment() -> dict[str, str]:
        return dict(os.environ)

    @server.tool()
    def pid() -> int:
        return os.getpid()

    @server.tool()
    def die() -> str:
        os._exit(3)

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def die_once(marker: str) -> str:
        if not os.path.exists(marker):
            open(marker, "x").close()
            os._exit(3)
        return "still here"

    @server.tool()
    async def sleep(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "awake"

    @server.tool()
    async def ask(context: Context) -> str:
        answer = await context.elicit("Which city?", City)
        return answer.action

    server.tool(name="read.me")(lambda: "with a dot")
    server.tool(name="read_me")(lambda: "with a line")
    return server


def _serve_http() -> None:
    """Serve on a free port, which is printed; requests need the header `Authorization: Bearer secret`."""
    import uvicorn

    app = make_server().streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != b"Bearer secret":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"no"})
            return
        await app(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(guarded, log_level="critical")).run(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1:] == ["http"]:
        _serve_http()
    else:
        make_server().run()
