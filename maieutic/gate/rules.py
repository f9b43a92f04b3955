"""What the gate is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maieutic.errors import UserError
from maieutic.gate.sample import Decode


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


def decoder(tokenizer: str | None) -> Decode | None:
    """Ids to text. Raises UserError where the tokenizer can't be had."""
    if tokenizer is None:
        return None
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    file = path / "tokenizer.json" if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise UserError(f"The folder {tokenizer} has no tokenizer.json: give one that has it, or the file itself.")
    try:
        loaded = Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(tokenizer)
    except Exception as error:  # the library raises bare exceptions
        raise UserError(f"The tokenizer {tokenizer} can't be loaded ({error}): give its tokenizer.json.") from error

    def decode(ids: Sequence[int]) -> str:
        return str(loaded.decode(list(ids), skip_special_tokens=False))

    return decode
