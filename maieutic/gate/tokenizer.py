"""What rows of token ids say: the tokenizer in a file, in a folder, or under a name on the Hugging Face Hub."""

import re
from collections.abc import Sequence
from pathlib import Path

from maieutic.errors import UserError
from maieutic.gate.sample import Decode

FILE = "tokenizer.json"
ANSWER = 10.0  # seconds within which the Hub has to answer the first question


def decoder(tokenizer: str | None) -> Decode | None:
    """Ids to text. Raises UserError where the tokenizer can't be had."""
    if tokenizer is None:
        return None
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    file = path / FILE if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise UserError(f"The folder {tokenizer} has no {FILE}: give one that has it, or the file itself.")
    try:
        loaded = Tokenizer.from_file(str(file if file.is_file() else _from_hub(tokenizer)))
    except UserError:
        raise
    except Exception as error:  # the library raises bare exceptions
        raise _refusal(tokenizer, str(error)) from error

    def decode(ids: Sequence[int]) -> str:
        return str(loaded.decode(list(ids), skip_special_tokens=False))

    return decode


def _from_hub(name: str) -> Path:
    """The file of this name on the Hub, or what was brought from there before. UserError where it can't be had."""
    from huggingface_hub import errors as hub
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(name, FILE), str):  # then a download would try again and again
            get_hf_file_metadata(hf_hub_url(name, FILE), timeout=ANSWER)
        return Path(hf_hub_download(name, FILE))
    except hub.HFValidationError:
        raise UserError(
            f"There is no tokenizer at {name}: give its {FILE}, or a name on the Hugging Face Hub."
        ) from None
    except hub.GatedRepoError as error:
        raise _refusal(name, "the Hugging Face Hub asks for a login: hf auth login") from error
    except hub.RepositoryNotFoundError as error:
        raise _refusal(name, "the Hugging Face Hub shows nothing of that name") from error
    except hub.EntryNotFoundError as error:
        raise _refusal(name, f"on the Hugging Face Hub it has no {FILE}") from error
    except hub.HfHubHTTPError as error:
        raise _refusal(name, f"the Hugging Face Hub answers {error.response.status_code}") from error
    except Exception as error:  # of the system, of HTTP, of being offline: no class in common
        why = re.sub(r"\[Errno -?\d+\] ", "", str(error).partition("\n")[0]) or type(error).__name__
        raise _refusal(name, f"no such file is here, and the Hugging Face Hub can't be reached: {why}") from error


def _refusal(name: str, why: str) -> UserError:
    return UserError(f"The tokenizer {name} can't be loaded ({why.rstrip('.')}): give its {FILE}.")
