"""What has been seen before, among any number of rows and in memory that doesn't grow with them."""

from hashlib import blake2b

from maieutic.recipes.scratch import scratch


class Seen:
    """Digests in a temporary SQLite file, which is gone with the process whatever becomes of it.

    Two different texts are taken for one with a probability of n²/2¹²⁹ among n of them.
    """

    def __init__(self) -> None:
        self._database = scratch("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, text: bytes) -> bool:
        """Whether the text is new; it is known from now on."""
        digest = blake2b(text, digest_size=16).digest()
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Seen":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
