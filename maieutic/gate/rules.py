"""What the gate is asked for."""

from dataclasses import dataclass

from maieutic.errors import UserError


@dataclass(frozen=True, slots=True)
class Rules:
    """`against` are benchmarks by name: task files or environments. `embedder` also looks for them by meaning, with a
    cosine of `alike` or more. `near` is the Jaccard index from which on texts are near duplicates; None lets them pass,
    as None in `difficulty`, the shares of right attempts between which a prompt must lie. `licence` is what is said of
    all rows, `allowed` the licences that may pass; empty lets all pass. `tokenizer` is a file, a folder or a name on
    the Hub: needed for rows of token ids.
    """

    against: tuple[tuple[str, str], ...] = ()
    embedder: str | None = None
    alike: float = 0.9
    near: float | None = 0.85
    difficulty: tuple[float, float] | None = (0.0, 1.0)
    endings: bool = True
    secrets: bool = True
    personal: bool = True
    licence: str | None = None
    allowed: tuple[str, ...] = ()
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        if self.near is not None and not 0.5 <= self.near <= 1:
            raise UserError(f"The likeness {self.near:g} is out of range: near duplicates begin between 0.5 and 1.")
        if self.difficulty is not None and not 0 <= self.difficulty[0] < self.difficulty[1] <= 1:
            raise UserError("The difficulty is given as two shares, the lower one first, such as 0:1.")
        names = [name for name, _ in self.against]
        if len(set(names)) < len(names):
            raise UserError("Two benchmarks have one name: name them apart, as NAME=SOURCE.")
