"""A conversation with scripted models, at no terminal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maieutic.chat.conversation import Conversation
from maieutic.settings import load_settings
from maieutic.terminal.options import RunOptions

SCRIPTS = {
    "yes": 'kind: scripted\nreplies: "Six times seven.\\n\\nAnswer: 42"\n',
    "counts": "kind: scripted\nreplies: ['Answer: 1', 'Answer: 2', 'Answer: 3']\n",
    "lost": "kind: scripted\nreplies: {never said: x}\n",
}


@pytest.fixture(autouse=True)
def scripts(tmp_path: Path, own_home: None) -> Path:
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    for name, text in SCRIPTS.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
async def conversation() -> AsyncIterator[Conversation]:
    conversation = Conversation(RunOptions(model="counts", seed=1), load_settings())
    yield conversation
    await conversation.close()
