"""The table of environments in docs/tasks.md, written from their own cards and levels by `make rooms`."""

from pathlib import Path

from maieutic.tasks.environment import environment_names
from maieutic.tasks.generated import about

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
BEGIN, END = "<!-- environments: written by `make rooms` -->", "<!-- end of environments -->"


def table() -> str:
    """Every environment with its knobs, how many levels it has, and the first sentence of its card."""
    rows = ["| `env:` | asks | knobs | levels |", "|---|---|---|---|"]
    for name in environment_names():
        known = about(name) if not name.startswith("test-") else None
        if known is not None:
            knobs = ", ".join(f"`{knob}`" for knob in type(known.levels[0]).model_fields)
            rows.append(f"| `{name}` | {known.card.split('. ')[0].rstrip('.')} | {knobs} | {len(known.levels)} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """The page's text with its table brought up to date."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
