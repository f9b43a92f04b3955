"""Embedders from sentence-transformers: any model of theirs, and all-MiniLM-L6-v2 from a package that carries it."""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.errors import MissingExtra, UserError
from maieutic.tools.retrieval.embedder import MINILM_PACKAGE, Identity, threads

if TYPE_CHECKING:
    from maieutic.tools.retrieval.embedder import Vectors

# of model.safetensors of sentence-transformers/all-MiniLM-L6-v2: the package's own word is not enough
MINILM_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH = 32


class Transformer:
    """A sentence-transformers model; its threads are set on purpose, see `threads`."""

    weight = 1.0

    def __init__(self, model: Any, identity: Identity) -> None:
        self._model = model
        self.identity = identity

    @classmethod
    def load(cls, name: str, place: str | None = None) -> "Transformer":
        """The model `st/NAME_OR_FOLDER`, or the one at `place`. Raises MissingExtra, and UserError where it isn't."""
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra(f"The embedder {name}", "local") from error
        torch.set_num_threads(threads())
        wanted = place or name.removeprefix("st/")
        try:
            model = SentenceTransformer(wanted)
        except Exception as error:  # not there, no network, not a model: each its own exception
            first = str(error).strip().partition("\n")[0]
            raise UserError(f"The embedder {name} can't be loaded from {wanted}: {first}") from error
        dimensions = model.get_embedding_dimension()
        return cls(model, Identity(name, int(dimensions or 0), _digest(model)))

    def documents(self, texts: Sequence[str]) -> "Vectors":
        return self._encode(self._model.encode_document, list(texts))

    def query(self, text: str) -> "Vectors":
        vector: Vectors = self._encode(self._model.encode_query, [text])[0]
        return vector

    def _encode(self, encode: Any, texts: list[str]) -> "Vectors":
        vectors: Vectors = encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        return vectors.astype("float32", copy=False)


def minilm() -> Transformer:
    """all-MiniLM-L6-v2 without a download. Raises UserError where the weights are not the published ones."""
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtra("The embedder minilm", "minilm")
    weights = next(Path(spec.origin).parent.rglob("model.safetensors"), None)
    if weights is None or file_digest(weights) != MINILM_DIGEST:
        raise UserError(
            f"The weights of the embedder minilm in {Path(spec.origin).parent} are not the published ones: "
            "don't use that package, give --embedder st/sentence-transformers/all-MiniLM-L6-v2 instead."
        )
    return Transformer.load("minilm", str(weights.parent))


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(model: Any) -> str:
    """Of the weights as they are used, whatever files they came from."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()[:32]
