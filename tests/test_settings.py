from pathlib import Path

import pytest
from pydantic import Field

from maieutic.errors import ConfigError
from maieutic.settings import Settings, Strict, config_dir, load_settings, parse_yaml, state_dir


class Inner(Strict):
    depth: int = Field(default=1, gt=0)


class Outer(Strict):
    name: str
    inner: Inner = Inner()
    many: list[Inner] = []


def home(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "config.yaml").write_text(text)
    return {"MAIEUTIC_HOME": str(tmp_path)}


def test_everything_is_optional(tmp_path: Path) -> None:
    settings = load_settings({"MAIEUTIC_HOME": str(tmp_path)})
    assert (settings.model, settings.graph, settings.prompts_dir) == ("in-box", "direct", None)
    assert (settings.traces_dir, settings.models_dir) == (tmp_path / "traces", tmp_path / "models")


def test_paths_are_taken_from_the_file_and_from_home(tmp_path: Path) -> None:
    env = home(tmp_path, "model: vllm/x\ntraces_dir: runs\nprompts_dir: ~/prompts\nmodels_dir: /models")
    settings = load_settings(env)
    assert settings.model == "vllm/x"
    assert settings.traces_dir == tmp_path / "runs"
    assert settings.prompts_dir == Path.home() / "prompts"
    assert settings.models_dir == Path("/models")


def test_where_things_are() -> None:
    assert config_dir({"XDG_CONFIG_HOME": "/c"}) == Path("/c/maieutic")
    assert state_dir({"XDG_STATE_HOME": "/s"}) == Path("/s/maieutic")
    assert config_dir({"MAIEUTIC_HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/h")
    assert config_dir({"MAIEUTIC_CONFIG": "/mine", "MAIEUTIC_HOME": "/h"}) == Path("/mine")
    assert state_dir({}) == Path.home() / ".local/state/maieutic"
    assert load_settings({"MAIEUTIC_CONFIG": "/none", "XDG_STATE_HOME": "/s"}).traces_dir == Path("/s/maieutic/traces")


def test_an_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(home(tmp_path, "# mine\nmodle: x"))
    path = tmp_path / "config.yaml"
    known = ", ".join(Settings.model_fields)
    expected = f"{path}, line 2: there is no field 'modle'. Did you mean 'model'? Known: {known}."
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: x\ninner:\n  depth: none",
            "f, line 3, field 'inner.depth': input should be .* .it is 'none'.",
        ),
        ("name: x\nmany:\n- depth: 1\n- depth: 0", "f, line 4, field 'many.1.depth': input should be greater than 0"),
        ("name: x\nmany:\n- deep: 1", "f, line 3: there is no field 'many.0.deep'. Did you mean 'depth'"),
        ("name: x\ninner: {depht: 2}", "f, line 2: there is no field 'inner.depht'. Did you mean 'depth'"),
        ("inner: {depth: 2}", "f, line 1: the field 'name' is missing; add it."),
        ("", "f, line 1: the field 'name' is missing; add it."),
        ("name: x\n\nname: y", "f, line 3: the field 'name' is given twice; remove one."),
        ("name: x\ninner: {depth: 1, depth: 2}", "f, line 2: the field 'depth' is given twice"),
        ("name: [x", "f, line 1: this is not valid YAML"),
        ("name: x\n\tinner: 3", "f, line 2: this is not valid YAML"),
        ("- name: x", "f, line 1: fields are expected, written as 'name: value'."),
        ("name: !!python/object:os.system x", "f, line 1: this is not valid YAML"),
        ("name: \x00", "f: this is not valid YAML"),
    ],
)
def test_errors_name_line_and_field(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_yaml(text, Outer, "f")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="config.yaml can't be read: it is not UTF-8 text"):
        load_settings({"MAIEUTIC_HOME": str(tmp_path)})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().model = "other"
