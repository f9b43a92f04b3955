"""An MCP tool's answer as a reply: texts as they are, structured content as JSON, files kept with the run."""

import asyncio
import base64
import binascii
import json
import mimetypes
from typing import Any, BinaryIO

from maieutic.tools.artifacts import Artifact, Artifacts
from maieutic.tools.tool import Reply

IMAGES = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}
_LARGEST = 40_000  # characters of structured content that go into the trace


async def reply_of(result: Any, artifacts: Artifacts | None, **facts: Any) -> Reply:
    """The reply that a `CallToolResult` comes to. Pictures, sounds and files are named in the text and kept in
    `artifacts`; `facts` go into its meta, beside the structured content."""
    parts: list[str] = []
    kept: list[Artifact] = []
    for block in result.content:
        text, artifact = await asyncio.to_thread(_block, block, artifacts)
        parts.append(text)
        if artifact is not None:
            kept.append(artifact)
    meta: dict[str, Any] = dict(facts)
    structured = result.structured_content
    if structured is not None:
        written = json.dumps(structured, ensure_ascii=False, default=str)
        if len(written) <= _LARGEST:
            meta["structured"] = structured
        if not any(block.type == "text" for block in result.content):
            parts.insert(0, written)
    if kept:
        meta["files"] = [{"name": one.name, "path": str(one.path), "bytes": one.size} for one in kept]
        meta["images"] = [str(one.path) for one in kept if one.path.suffix in IMAGES.values()]
    text = "\n".join(part for part in parts if part)
    return Reply(text or "[The tool returned nothing.]", "error" if result.is_error else "ok", meta)


def _block(block: Any, artifacts: Artifacts | None) -> tuple[str, Artifact | None]:
    """What one part of an answer says, and the file that it was kept as."""
    if block.type == "text":
        return str(block.text), None
    if block.type in ("image", "audio"):
        return _file(block.type.capitalize(), block.type, block.mime_type, block.data, artifacts)
    if block.type == "resource_link":
        about = ", ".join(str(part) for part in (block.mime_type, block.description) if part)
        return f"[Link: {block.title or block.name}, {block.uri}{f' ({about})' if about else ''}]", None
    if block.type == "resource":
        resource = block.resource
        if hasattr(resource, "text"):
            return f"[{resource.uri}]\n{resource.text}", None
        name = str(resource.uri).rstrip("/").rpartition("/")[2]
        return _file(f"File {resource.uri}", name, resource.mime_type, resource.blob, artifacts)
    return f"[A part of the answer, {block.type}, can't be shown.]", None


def _file(
    what: str, name: str, kind: str | None, encoded: str, artifacts: Artifacts | None
) -> tuple[str, Artifact | None]:
    kind = (kind or "application/octet-stream").partition(";")[0].strip().lower()
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return f"[{what}: {kind}, which can't be read.]", None
    suffix = IMAGES.get(kind) or mimetypes.guess_extension(kind) or ""
    if suffix and not name.lower().endswith(suffix):
        name += suffix

    def copy(file: BinaryIO, most: int) -> int | None:
        return file.write(data) if len(data) <= most else None

    kept = artifacts.keep(name, len(data), copy) if artifacts is not None else None
    return f"[{what}: {kind}, {len(data):,} bytes{'' if kept else ', not kept'}]", kept
