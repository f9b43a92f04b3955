"""What a run's settings say to its tools."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maieutic.errors import ConfigError
from maieutic.settings import McpServer, WebSettings
from maieutic.tools.sandbox.tier import UNSAFE


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """`sandbox` names the isolation that is demanded, None takes the best that works. With `unsafe_local` there is
    none, and model-written code has the user's own rights. `web` is how the web is searched and read, `mcp`
    are the MCP servers of the user's settings."""

    sandbox: str | None = None
    unsafe_local: bool = False
    web: WebSettings = WebSettings()
    mcp: Mapping[str, McpServer] = field(default_factory=dict)

    def sandbox_name(self) -> str | None:
        """The name for `ensure_sandbox`. Raises ConfigError for what may not be asked for in this way."""
        if self.sandbox == UNSAFE:
            raise ConfigError("unsafe-local is no sandbox: to go without one, say --unsafe-local each time.")
        if self.unsafe_local and self.sandbox is not None:
            raise ConfigError(f"--unsafe-local and the sandbox {self.sandbox} can't both be had: leave one out.")
        return UNSAFE if self.unsafe_local else self.sandbox
