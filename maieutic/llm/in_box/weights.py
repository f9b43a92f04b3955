"""Where the weights lie that ship with Maieutic, by the name of their model."""

from pathlib import Path

_ROOM = Path(__file__).parents[1] / "weights"
FIRST = "in-box"
SHIPPED = {FIRST: _ROOM / "in_box", "in-box-1": _ROOM / "in_box_1"}


def folder_of(model: str) -> Path:
    """The folder that a profile of the in-box model means by its `model`: a shipped one by its name, another by its
    path, the first one by nothing."""
    name = model or FIRST
    return SHIPPED[name] if name in SHIPPED else Path(name)
