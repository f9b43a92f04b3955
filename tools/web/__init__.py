"""The web: searching it through a provider of one's own choice, and reading its pages behind a guard."""

from maieutic.tools.web.tools import page_tool, search_tool

__all__ = ["page_tool", "search_tool"]
