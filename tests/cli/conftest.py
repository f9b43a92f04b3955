"""The command, run in this process, with scripted models in the user's own models directory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from maieutic.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]

SCRIPTS = {
    "yes": "kind: scripted\nreplies: |-\n  Six times seven.\n\n  Answer: 42\n",
    "twice": "kind: scripted\nreplies: ['Answer: 1', 'Answer: 2']\n",
}


@pytest.fixture(autouse=True)
def scripts(tmp_path: Path, own_home: None) -> Path:
    """The models directory, with a profile for each of SCRIPTS."""
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    for name, text in SCRIPTS.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
def maieutic(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    return run
