"""MCP: the tools of any server that speaks the Model Context Protocol, as tools."""

from maieutic.tools.mcp.toolset import mcp_tools

__all__ = ["mcp_tools"]
