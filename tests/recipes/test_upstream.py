"""Rows go through the classes of those who read them: `make test-upstream`. Where a library is missing, its test is
skipped and says what was not checked; not so where MAIEUTIC_TEST_UPSTREAM is set, as it is there.
"""

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from maieutic.recipes.formats.otel import mapping
from maieutic.recipes.items import Dialogue, Prompt, Turn
from maieutic.types import Message
from tests.recipes.test_formats import QUESTION, SYSTEM, answered, pair, record, rows, said, tool_call, used_tool
from tests.trace.builders import call

pytestmark = pytest.mark.filterwarnings("default")


def need(module: str, what: str) -> Any:
    if os.environ.get("MAIEUTIC_TEST_UPSTREAM"):
        return importlib.import_module(module)
    reason = f"{module} is not installed: {what} was NOT checked"
    return pytest.importorskip(module, reason=reason, exc_type=ImportError)


def test_verifiers_reads_traces_and_branches_them_as_recorded(tmp_path: Path) -> None:
    trace_ = need("verifiers.v1.trace", "that verifiers reads our traces")
    lost = call("r1", "x").request
    failed = type(call("r1", "x"))("r1", "x", "scripted", lost, None, 1.0, 2.0, error="gone")
    events = [
        ("reward", {"scope": "run", "name": "answer", "value": 1.0}),
        ("reward", {"scope": "run", "name": "laser", "value": None}),
    ]
    critic = call("r1", "d", (5, 6), (7,), text="Wrong.", after="b", how="critique", role="critic")
    [row], _ = rows("verifiers", record(tmp_path, [*used_tool(), critic, failed], *events))
    trace = trace_.WireTrace.model_validate(row)
    assert [branch.token_ids for branch in trace.branches] == [[1, 2, 9], [1, 2, 3, 4, 7, 8], [5, 6, 7]]
    assert [branch.sampled_mask for branch in trace.branches][1] == [False, False, True, True, False, True]
    assert [branch.logprobs for branch in trace.branches][0] == [0.0, 0.0, -0.5]
    assert trace.reward == 1.0 and trace.rewards["laser"] is None
    assert [link.type for link in trace.branches[2].nodes[-1].semantic_parents] == ["critique"]
    assert trace.calls[-1].error.message == "gone"
    again = trace_.WireTrace.model_validate(trace.to_record(float_decimals=None))
    assert [branch.token_ids for branch in again.branches] == [branch.token_ids for branch in trace.branches]


def test_harbor_validates_trajectories_with_subagents(tmp_path: Path) -> None:
    models = need("harbor.models.trajectories", "that Harbor reads our ATIF trajectories")
    [row], _ = rows("atif", record(tmp_path, used_tool(), ("tool_result", answered())))
    trajectory = models.Trajectory.model_validate(row)
    assert trajectory.to_json_dict() == row, "nothing is added, lost or renamed by Harbor's own class"
    assert trajectory.schema_version == "ATIF-v1.7"


def test_llama_factory_converts_conversations_and_pairs(tmp_path: Path) -> None:
    converter = need("llamafactory.data.converter", "that LLaMA-Factory reads our ShareGPT rows")
    parser = need("llamafactory.data.parser", "that LLaMA-Factory reads our ShareGPT rows")

    def converted(row: dict[str, Any], **attributes: Any) -> dict[str, Any]:
        of = parser.DatasetAttr("file", "rows", formatting="sharegpt", system="system", **attributes)
        made: dict[str, Any] = converter.SharegptDatasetConverter(of, None)(row)
        return made

    *_, last = rows("sharegpt", record(tmp_path, used_tool()))[0]
    made = converted(last, tools="tools")
    assert [turn["role"] for turn in made["_prompt"]] == ["user", "function", "observation"]
    assert made["_response"] == [{"role": "assistant", "content": "4"}]
    assert json.loads(made["_tools"])[0]["name"] == "python"
    [row], _ = rows("sharegpt", pair(said("4"), said("5"), SYSTEM, QUESTION))
    made = converted(row, ranking=True, chosen="chosen", rejected="rejected")
    assert [side["content"] for side in made["_response"]] == ["4", "5"] and made["_system"] == "Be brief."


def test_openais_own_types_take_the_messages(tmp_path: Path) -> None:
    chat = need("openai.types.chat", "that OpenAI's types take our messages")
    from pydantic import TypeAdapter

    messages = TypeAdapter(list[chat.ChatCompletionMessageParam])  # pyright: ignore[reportInvalidTypeForm]
    tools = TypeAdapter(list[chat.ChatCompletionToolParam])  # pyright: ignore[reportInvalidTypeForm]
    made, _ = rows("openai", record(tmp_path, used_tool()))
    asked: Message = tool_call('{"code": "1"}', "I run it.")
    made += rows("openai", Dialogue((Turn(SYSTEM), Turn(QUESTION), Turn(asked, learn=True)), ("r1",)))[0]
    for row in made:
        for read, message in zip(messages.validate_python(row["messages"]), row["messages"], strict=True):
            calls = list(read.get("tool_calls") or ())  # pydantic reads them lazily, and then complains
            assert len(calls) == len(message.get("tool_calls", ()))
        tools.validate_python(row.get("tools", []))


def test_opentelemetry_parses_the_spans_and_knows_the_names(tmp_path: Path) -> None:
    trace_ = need("opentelemetry.proto.trace.v1.trace_pb2", "that OTLP parses our spans")
    names = need("opentelemetry.semconv._incubating.attributes.gen_ai_attributes", "that our span attributes exist")
    from google.protobuf.json_format import ParseDict

    [row], _ = rows("otel", record(tmp_path, used_tool(), ("tool_result", answered())))
    spans = ParseDict(row, trace_.TracesData()).resource_spans[0].scope_spans[0].spans  # raises for an unknown field
    assert [span.name for span in spans][0] == "invoke_workflow direct" and len(spans) == 5
    known = {value for name, value in vars(names).items() if name.startswith("GEN_AI_") and isinstance(value, str)}
    ours = {name for name in mapping()["attributes"].values() if name.startswith("gen_ai.")}
    assert ours <= known
    assert set(mapping()["operations"].values()) <= {one.value for one in names.GenAiOperationNameValues}


def test_datasets_loads_prompts_with_their_tasks(tmp_path: Path) -> None:
    datasets = need("datasets", "that datasets loads our rows")
    tasks = [{"id": "a", "question": "2+2?", "gold": "4"}, {"id": "b", "question": "?", "gold": [1, 2]}]
    made, _ = rows("trl-grpo", *(Prompt((QUESTION,), task, ("r1",)) for task in tasks))
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    loaded = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert [json.loads(task)["gold"] for task in loaded["task"]] == ["4", [1, 2]]
