"""What a query may use."""

import os
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bounds:
    """`seconds` until a query is stopped, `grace` more until what runs it is killed; `memory` in bytes; `running`
    queries of one database at a time. `cost` and `rows` bound what PostgreSQL estimates before it runs a query, in its
    own units of cost and in rows at any step of the plan; None doesn't ask."""

    seconds: float = 30.0
    grace: float = 2.0
    memory: int = 1 << 30
    running: int = field(default_factory=lambda: max(2, min(4, os.cpu_count() or 2)))
    cost: float | None = 10_000_000.0
    rows: float | None = 1_000_000_000.0


DEFAULT = Bounds()
