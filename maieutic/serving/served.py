"""What a server serves, as its command line says: whose checkpoint, and how large its adapters may be."""

from pathlib import Path

from maieutic.errors import UserError
from maieutic.serving.checkpoint import find_checkpoint
from maieutic.serving.command import given
from maieutic.serving.records import Record

_VLLMS_RANK = 16  # where the command line names none


def largest_rank(record: Record) -> int:
    """The largest rank of an adapter that it takes."""
    wanted = given(record.command, "--max-lora-rank")
    return int(wanted) if wanted and wanted.isdecimal() else _VLLMS_RANK


def folder_of(record: Record) -> Path | None:
    """Where the checkpoint's files are; None where they are not on this machine (any more)."""
    try:
        return find_checkpoint(record.source).found(given(record.command, "--revision")).folder
    except UserError:
        return None


def trained_from(record: Record) -> str:
    """The checkpoint that adapters for this server are trained on: its folder, or its name at the hub.

    Raises UserError where that would be other weights, or other tokens, than the server's.
    """
    name = record.name
    if (tokenizer := given(record.command, "--tokenizer")) is not None:
        raise UserError(
            f"{name} was started with the tokenizer {tokenizer}, so that what it samples can't be trained on as it is: "
            "start it without --tokenizer."
        )
    folder = folder_of(record)
    if folder is None:
        if Path(record.source).is_absolute():
            raise UserError(f"The checkpoint {record.source} that {name} serves is not there: put it back.")
        return record.source
    checkpoint = find_checkpoint(str(folder))
    if checkpoint.changed_since(record.began) and checkpoint.weights() != record.weights:
        raise UserError(
            f"{folder} holds other weights than {name} was started with: take it down (maieutic model down {name}) "
            "and start it again."
        )
    return str(folder)
