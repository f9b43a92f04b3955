"""`KEY=VALUE` as a person types it."""

import json
from collections.abc import Iterable
from typing import Any

from maieutic.errors import UserError


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` pairs as values: what reads as JSON is JSON, everything else is text. Raises UserError."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UserError(f"The setting {pair!r} is not KEY=VALUE.")
        if key in values:
            raise UserError(f"The setting {key!r} is given twice: give it once.")
        try:
            values[key] = json.loads(text)
        except ValueError:
            values[key] = text
    return values
