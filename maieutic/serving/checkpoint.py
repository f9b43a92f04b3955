"""A model's files: where they are, what they hash to, what its chat template looks like."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from maieutic.errors import UserError
from maieutic.llm.in_box.weights import SHIPPED
from maieutic.serving.files import digest, digest_of_files

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is to be served: `source` is what vLLM is told, `folder` where its files are (None: not on this machine)."""

    wanted: str
    source: str
    folder: Path | None

    @property
    def in_box(self) -> bool:
        return self.wanted in SHIPPED

    @property
    def local(self) -> bool:
        """Whether vLLM is told a folder, and therefore needs no hub."""
        return self.folder is not None and str(self.folder) == self.source

    def found(self, revision: str | None = None) -> "Checkpoint":
        """The same now that a server has loaded it: that may have brought a newer version from the hub."""
        return self if self.local else Checkpoint(self.wanted, self.source, _cached(self.source, revision))

    def changed_since(self, time: float) -> bool:
        """Whether weights in a folder of the user's were written after this Unix time."""
        files = self.folder.glob("*.safetensors") if self.folder and self.local else ()
        return any(max(stat.st_mtime, stat.st_ctime) > time for stat in map(Path.stat, files))

    def weights(self) -> str | None:
        """The hash of the safetensors files, whatever their number; None where there are none."""
        files = list(self.folder.glob("*.safetensors")) if self.folder else []
        return digest_of_files(files) if files else None

    def template(self) -> str | None:
        """The hash of the chat template; None where there is none."""
        text = self.template_text()
        return None if text is None else digest(text.encode())

    def template_text(self) -> str | None:
        """The chat template, from a file of its own or from the tokenizer's configuration."""
        if self.folder is None:
            return None
        own = self.folder / "chat_template.jinja"
        if own.exists():
            return own.read_text(encoding="utf-8")
        try:
            text = json.loads((self.folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return text if isinstance(text, str) else None


def find_checkpoint(wanted: str) -> Checkpoint:
    """The checkpoint of this name or path. Raises UserError; asks no network."""
    if wanted in SHIPPED:
        return Checkpoint(wanted, str(SHIPPED[wanted]), SHIPPED[wanted])
    folder = Path(wanted).expanduser()
    if wanted and folder.is_dir():
        if not (folder / "config.json").exists():
            raise UserError(f"{wanted} holds no config.json: give the folder of a checkpoint as transformers saves it.")
        return Checkpoint(wanted, str(folder.absolute()), folder.absolute())
    if _HUB_NAME.fullmatch(wanted) and not wanted.startswith("."):
        return Checkpoint(wanted, wanted, _cached(wanted))
    raise UserError(
        f"There is no model {wanted!r} here: give in-box or in-box-1, the folder of a checkpoint, or a name at the"
        " Hugging Face hub such as Qwen/Qwen3-8B."
    )


def _cached(name: str, revision: str | None = None) -> Path | None:
    """The folder of a hub model in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None
