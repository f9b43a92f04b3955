"""Images that tools made, as parts of a message to a model that can see."""

import base64
from pathlib import Path
from typing import Any

from maieutic.types import ToolResult

_MOST, _LARGEST = 4, 4 << 20  # images a message, bytes an image
_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}


def content_of(result: ToolResult, vision: bool) -> str | list[dict[str, Any]]:
    """The content of a tool message: the text, and the images where the model can see them.

    Images beyond the first four, or of more than 4 MiB, are left out, and the text says so.
    """
    paths = [Path(path) for path in result.meta.get("images", ()) if Path(path).suffix.lower() in _TYPES]
    if not vision or not paths:
        return result.content
    shown = [path for path in paths if path.is_file() and path.stat().st_size <= _LARGEST][:_MOST]
    left_out = len(paths) - len(shown)
    text = f"{result.content}\n[{left_out} images are not shown.]" if left_out else result.content
    return [{"type": "text", "text": text}, *map(_part, shown)]


def _part(path: Path) -> dict[str, Any]:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:image/{_TYPES[path.suffix.lower()]};base64,{data}"}}
