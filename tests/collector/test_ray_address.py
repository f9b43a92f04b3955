"""A cluster that Ray can't be connected to is a sentence, and Ray doesn't end the process.

Skipped where Ray is not installed (`pip install 'maieutic[ray]'`).
"""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from maieutic.collector import ray_engine
from maieutic.errors import UserError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'maieutic[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "not a place",
            "Ray could not be started (Invalid address format: not a place): start the same command again, or see to "
            "what RAY_ADDRESS names.",
        ),
        (
            "127.0.0.1:9",
            "Nobody answers at 127.0.0.1:9 (Connection refused): start the cluster that RAY_ADDRESS names, or unset it "
            "to have Ray run on this machine.",
        ),
    ],
)
def test_a_cluster_that_can_not_be_is_told_in_a_sentence(address: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"question": "6 * 7?"}\n')
    command = ["collect", str(tmp_path / "tasks.jsonl"), "--engine", "ray", "--out", str(tmp_path / "out"), "--quiet"]
    env = {**os.environ, "RAY_ADDRESS": address}
    ran = subprocess.run([sys.executable, "-m", "maieutic", *command], env=env, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (2, f"maieutic: {sentence}\n")


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_what_is_no_cluster_is_told_and_not_waited_for(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        answering = threading.Thread(target=_answer, args=(server, said), daemon=True)
        answering.start()
        with pytest.raises(UserError, match=f"What answers at {address} is no Ray cluster"):
            ray_engine._refuse_unreached(address, lambda: "127.0.0.1")


def _answer(server: socket.socket, said: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(said)
        time.sleep(1 if not said else 0)  # one that says nothing does not hang up either
