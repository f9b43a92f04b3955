import asyncio
from pathlib import Path

import pytest

from maieutic.errors import ConfigError, UnknownName
from maieutic.llm.in_box.weights import SHIPPED
from maieutic.llm.profile import Profile
from maieutic.llm.registry import find_profile, model_names, resolve_model
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.fleet import Fleet
from maieutic.settings import Settings
from maieutic.types import Request
from tests.support.server import Answer, FakeServer

REQUEST = Request(({"role": "user", "content": "hi"},))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models").mkdir()
    return Settings(models_dir=tmp_path / "models")


def write(settings: Settings, name: str, text: str) -> Path:
    path = settings.models_dir / name
    path.write_text(text)
    return path


def test_every_shipped_profile_can_be_read(settings: Settings) -> None:
    names = model_names(settings)
    assert {"in-box", "vllm"} <= set(names)
    for name in names:
        assert find_profile(name, settings, {}).description
    assert find_profile("in-box", settings, {}).prompts == "in_box"


def test_other_weights_of_the_in_box_model_are_named_by_their_folder(settings: Settings, tmp_path: Path) -> None:
    from maieutic.llm.in_box.model import WEIGHTS

    found = resolve_model(f"in-box@{WEIGHTS}", settings, {})
    assert found.model.name == f"in-box@{WEIGHTS}"
    assert found.profile.prompts == "in_box"
    for folder in ("", str(tmp_path)):
        with pytest.raises(ConfigError, match="needs model.onnx"):
            find_profile(f"in-box@{folder}", settings, {})


def test_both_shipped_models_have_weights_and_a_rule_for_what_they_may_be_asked(settings: Settings) -> None:
    for name in ("in-box", "in-box-1"):
        model = resolve_model(name, settings, {}).model
        assert model.name == name and (SHIPPED[name] / "model.onnx").is_file()
        assert asyncio.run(model.sample(REQUEST)).extra == {"out_of_scope": True}


def test_own_profiles_are_listed_and_come_first(settings: Settings) -> None:
    write(settings, "mine.yaml", "kind: vllm\nmodel: qwen\nsampling: {temperature: 0.6}")
    write(settings, "in-box.yaml", "kind: scripted\nreplies: '4'")
    write(settings, "notes.txt", "")
    assert model_names(settings) == ["in-box", "in-box-1", "mine", "tutor", "vllm"]
    assert find_profile("mine", settings, {}).sampling.temperature == 0.6
    assert find_profile("in-box", settings, {}).kind == "scripted"


async def test_a_profile_in_a_file_and_a_scripted_model(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("kind: scripted\nreplies: [one, two]")
    resolved = resolve_model(str(path), settings, {})
    assert [(await resolved.model.sample(REQUEST)).text for _ in range(2)] == ["one", "two"]
    assert resolved.model.name == str(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vllm/qwen", Profile(kind="vllm", model="qwen")),
        ("vllm/org/qwen@http://gpu:1/v1", Profile(kind="vllm", model="org/qwen", base_url="http://gpu:1/v1")),
        ("vllm@http://gpu:1", Profile(kind="vllm", base_url="http://gpu:1")),
        ("openai-compatible/x@https://h/v1", Profile(kind="openai-compatible", model="x", base_url="https://h/v1")),
        ("vllm/q@http://a:1, http://b:2,", Profile(kind="vllm", model="q", base_urls=("http://a:1", "http://b:2"))),
        ("anthropic/claude", Profile(kind="litellm", model="anthropic/claude")),
        ("openrouter/org/name", Profile(kind="litellm", model="openrouter/org/name")),
    ],
)
def test_forms(settings: Settings, name: str, expected: Profile) -> None:
    assert find_profile(name, settings, {}) == expected


async def test_a_server_by_its_url_and_by_the_environment(settings: Settings) -> None:
    with FakeServer(Answer("4")) as server:
        for name, env in [(f"vllm/m@{server.url}", {}), ("vllm/m", {"MAIEUTIC_BASE_URL": server.url})]:
            model = resolve_model(name, settings, {"MAIEUTIC_API_KEY": "k", **env}).model
            assert (await model.sample(REQUEST)).text == "4"
            assert model.name == name
            await model.close()
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer k", "Bearer k"]


async def test_several_servers_by_their_urls_the_environment_and_a_profile(settings: Settings) -> None:
    with FakeServer(Answer("4")) as a, FakeServer(Answer("4")) as b:
        both = f"{a.url},{b.url}"
        write(settings, "two.yaml", f"kind: vllm\nmodel: m\nbase_urls: [{both}]")
        for name, env in [(f"vllm/m@{both}", {}), ("vllm/m", {"MAIEUTIC_BASE_URL": both}), ("two", {})]:
            model = resolve_model(name, settings, {"MAIEUTIC_API_KEY": "k", **env}).model
            assert isinstance(model, Fleet) and [m.url for m in model.members] == [a.url, b.url]
            assert (await model.sample(REQUEST)).extra["server"] in (a.url, b.url)
            assert model.name == name
            await model.close()
        assert isinstance(resolve_model(f"vllm/m@{a.url},{a.url}", settings, {}).model, OpenAICompatibleModel)
    assert {h.get("Authorization") for server in (a, b) for h in server.headers} <= {"Bearer k", None}


def test_vllm_alone_is_the_server_on_this_machine(settings: Settings) -> None:
    assert isinstance(resolve_model("vllm", settings, {}).model, OpenAICompatibleModel)


def test_an_unknown_name_gets_the_known_ones(settings: Settings) -> None:
    with pytest.raises(UnknownName, match="no model named 'inbox'. Did you mean 'in-box'.*vllm/NAME@URL"):
        resolve_model("inbox", settings, {})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openai-compatible/x", "needs its server's address: add @URL or set MAIEUTIC_BASE_URL"),
        ("vllm/x@gpu:8000", "needs an address after the @, as in vllm/x@http://localhost:8000/v1"),
        ("vllm/x@http://me:secret@gpu", "user name or password"),
        ("vllm/x@http://a,gpu:8000", "needs an address after the @"),
        ("missing.yaml", "missing.yaml can't be read: No such file or directory"),
    ],
)
def test_names_that_cannot_be_used(settings: Settings, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_model(name, settings, {})
    assert "secret" not in str(caught.value)


def test_a_key_that_is_not_set_is_named(settings: Settings) -> None:
    write(settings, "mine.yaml", "kind: vllm\napi_key_env: MY_KEY")
    with pytest.raises(ConfigError, match="set the environment variable MY_KEY"):
        resolve_model("mine", settings, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: vlm", "mine.yaml, line 1, field 'kind': input should be 'in-box', 'vllm'"),
        ("kind: litellm", "mine.yaml, line 1: a profile of kind litellm needs model"),
        ("kind: scripted", "needs replies"),
        ("kind: vllm\nbase_url: gpu:8000", "base_url must start with http"),
        ("kind: vllm\nbase_urls: [http://a, gpu:8000]", "base_urls must start with http"),
        ("kind: vllm\nbase_url: http://a\nbase_urls: [http://b]", "both given: list all servers in base_urls"),
        ("kind: in-box\nbase_urls: [http://b]", "base_urls is for servers"),
        (
            "kind: vllm\nsampling:\n  temprature: 1",
            "line 3: there is no field 'sampling.temprature'. Did you mean 'temp",
        ),
        ("kind: vllm\ntimeouts: {total: 0}", "line 2, field 'timeouts.total': input should be greater than 0"),
    ],
)
def test_wrong_profiles(settings: Settings, text: str, message: str) -> None:
    write(settings, "mine.yaml", text)
    with pytest.raises(ConfigError, match=message):
        resolve_model("mine", settings, {})


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http:///v1", "http://a:b/v1", "http://a:1,http://[::1"])
def test_what_is_no_address_is_said_before_anything_is_asked(settings: Settings, url: str) -> None:
    with pytest.raises(ConfigError, match="write it as http://localhost:8000/v1"):
        resolve_model(f"vllm/x@{url}", settings, {})
