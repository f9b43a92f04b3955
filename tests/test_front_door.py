"""The public names: few, sorted, all there, and free until used."""

import subprocess
import sys

import maieutic


def test_the_front_door_is_small_sorted_and_complete() -> None:
    assert len(maieutic.__all__) <= 30
    assert maieutic.__all__ == sorted(maieutic.__all__)
    assert set(maieutic.__all__) == set(maieutic._HOMES)
    for name in maieutic.__all__:
        assert getattr(maieutic, name) is not None
    for name in ("run", "collect", "export", "stream"):
        assert callable(getattr(maieutic, name)), f"maieutic.{name} is a function, not a module of that name"


def test_importing_it_prints_nothing_writes_nothing_and_loads_nothing(tmp_path: object) -> None:
    code = (
        "import sys; before = set(sys.modules); import maieutic; "
        "heavy = {'langgraph', 'pydantic', 'httpx', 'litellm', 'torch', 'numpy', 'rich', 'onnxruntime'}; "
        "assert not heavy & {m.split('.')[0] for m in set(sys.modules) - before}"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=str(tmp_path), check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_wrong_name_is_an_attribute_error() -> None:
    assert not hasattr(maieutic, "no_such_name")
