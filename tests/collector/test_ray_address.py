"""A cluster that Ray can't be connected to is a sentence, and Ray doesn't end the process.

Skipped where Ray is not installed (`pip install 'maieutic[ray]'`).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
