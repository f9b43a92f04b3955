"""Files into the sandbox and out of it, whatever the code that writes them tries."""

import asyncio
import base64
import os
from ast import literal_eval
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.images import content_of
from maieutic.cli import app
from maieutic.errors import TaskError, ToolError
from maieutic.llm.profile import Profile
from maieutic.llm.registry import Resolved
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.runner import Result, open_runner
from maieutic.tasks.task import Task
from maieutic.tools.artifacts import Artifacts, harmless
from maieutic.tools.inputs import Inputs, files_of, named
from maieutic.tools.python import python_tool
from maieutic.tools.sandbox.interpreter import Interpreter
from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.scratch import Scratch, remove
from maieutic.tools.sandbox.tier import Limits
from maieutic.tools.tool import Session
from maieutic.types import ToolCall, ToolResult
from tests.conftest import Ask
from tests.tools.conftest import _starting, best_tier

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
DRAW = f"import base64\nopen('plot.png', 'wb').write(base64.b64decode({base64.b64encode(PNG)!r}))\nNone"


def writing(text: bytes) -> Callable[[Any, int], int]:
    return lambda file, limit: file.write(text[:limit])


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("plot.png", "plot.png"),
        ("sub/plot.png", "sub-plot.png"),
        ("../../etc/passwd", "etc-passwd"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("a b\n\x1b[2J.txt", "a_b_2J.txt"),
        ("größe.csv", "größe.csv"),
        ("x" * 300 + ".csv", "x" * 76 + ".csv"),
        ("...", "file"),
    ],
)
def test_names_are_made_harmless(name: str, kept: str) -> None:
    assert harmless(name) == kept


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "run")
    paths = [artifacts.keep("a.txt", 1, writing(text)) for text in (b"1", b"2", b"3")]
    assert [one and (one.path.name, one.path.read_bytes()) for one in paths] == [
        ("a.txt", b"1"), ("a-2.txt", b"2"), ("a-3.txt", b"3"),
    ]  # fmt: skip


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "target").write_text("mine")
    (tmp_path / "run" / "a.txt").symlink_to(tmp_path / "target")
    kept = Artifacts(tmp_path / "run").keep("a.txt", 1, writing(b"theirs"))
    assert kept is not None and kept.path.name == "a-2.txt" and (tmp_path / "target").read_text() == "mine"


def test_a_run_keeps_so_much_and_no_more(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path, files=2, size=10)
    assert artifacts.keep("big", 11, writing(b"x" * 11)) is None
    grown = artifacts.keep("grows", 4, writing(b"x" * 100))  # longer than it said it was
    assert grown is not None and grown.size == 4
    assert artifacts.keep("b", 6, writing(b"y" * 6)) is not None
    assert artifacts.keep("c", 0, writing(b"")) is None
    assert sorted(os.listdir(tmp_path)) == ["b", "grows"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(file: Any, limit: int) -> int:
        file.write(b"half")
        raise OSError("gone")

    with pytest.raises(OSError):
        Artifacts(tmp_path).keep("a", 4, fail)
    assert Artifacts(tmp_path).keep("a", 4, lambda file, limit: None) is None
    assert os.listdir(tmp_path) == []


@pytest.fixture
def scratch(tmp_path: Path) -> Any:
    folder = tmp_path / "scratch"
    folder.mkdir()
    made = Scratch(os.open(folder, os.O_RDONLY), own_mount=False)
    yield folder, made
    os.close(made.fd)


def test_only_regular_files_are_seen(scratch: Any, tmp_path: Path) -> None:
    folder, made = scratch
    (tmp_path / "secret").write_text("s3cret")
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    (folder / ".hidden").write_text("x")
    (folder / "true").write_text("abc")
    assert [(one.name, one.size) for one in made.written()] == [("true", 3)]
    for name in ("file", "folder/secret", "pipe", "../secret", "absent", str(tmp_path / "secret")):
        file = BytesIO()
        assert not made.copy(name, file, 10) and file.getvalue() == b"", name
    assert made.copy("true", BytesIO(), 2) == 2


def test_only_what_changed_is_told(scratch: Any) -> None:
    folder, made = scratch
    (folder / "a").write_text("1")
    (folder / "b").mkdir()
    (folder / "b" / "c").write_text("22")
    assert [one.name for one in made.written()] == ["a", "b/c"]
    assert made.written() == []
    (folder / "a").write_text("other")
    assert [(one.name, one.size) for one in made.written()] == [("a", 5)]


def test_closed_folders_are_removed_too(tmp_path: Path) -> None:
    (tmp_path / "s" / "a" / "b").mkdir(parents=True)
    (tmp_path / "s" / "link").symlink_to(tmp_path)
    (tmp_path / "s" / "a" / "b").chmod(0)
    (tmp_path / "s" / "a").chmod(0)
    remove(tmp_path / "s")
    assert os.listdir(tmp_path) == []


@pytest.fixture
async def start(own_tier: Any) -> AsyncIterator[Any]:
    async for start_ in _starting(own_tier):
        yield start_


async def test_the_host_is_not_led_astray(start: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    worker = await start()
    await worker.run(
        f"import os\nos.symlink({str(secret)!r}, 'a'); os.symlink('/proc/self/environ', 'b'); os.symlink('/', 'c')\n"
        "open('d', 'w').write('mine'); os.mkdir('e'); open('e/f', 'wb').truncate(1 << 24)\nopen('n\\n\\x1b', 'w')"
    )
    assert [(one.name, one.size) for one in worker.scratch.written()] == [("d", 4), ("e/f", 1 << 24), ("n\n\x1b", 0)]
    for name in ("a", "b", "c/etc/passwd"):
        assert not worker.scratch.copy(name, BytesIO(), 100)
    await worker.run("os.unlink('d'); os.symlink('/etc/passwd', 'd'); os.rename('e', 'g'); os.symlink('/etc', 'e')")
    assert worker.scratch.copy("d", BytesIO(), 100) is worker.scratch.copy("e/passwd", BytesIO(), 100) is None


async def test_files_of_a_cell_are_listed_and_kept(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel([call_tool("python", code=f"print('done')\n{DRAW}"), call_tool("python", code="1"), "7"])
    result = await ask_with_pool(ask, model)
    first, second = (request.messages[-1]["content"] for request in model.requests[1:3])
    assert (first, second) == (f"done\n[Files: plot.png ({len(PNG)} bytes)]", "1")
    kept = tmp_path / "traces" / "artifacts" / result.run_id / "plot.png"
    assert kept.read_bytes() == PNG and os.listdir(kept.parent) == ["plot.png"]


@pytest.mark.slow
async def test_a_plot_is_a_file_and_nothing_else_is_said(start: Any) -> None:
    pytest.importorskip("matplotlib", reason="NOT CHECKED: that matplotlib plots in the sandbox: it is not installed")
    worker = await start(Limits(seconds=90))
    ran = await worker.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.savefig('plot.png')\n'saved'")
    assert (ran.exit, ran.output) == ("ok", "'saved'\n")
    assert [one.name for one in worker.scratch.written()] == ["plot.png"]


async def test_who_can_see_is_shown_the_image(ask: Ask) -> None:
    turns = [call_tool("python", code=DRAW), "7"]
    model, profile = ScriptedModel(turns), Profile(kind="scripted", replies="", vision=True)
    pool = Pool(await best_tier())
    async with open_runner("tool_loop", model=model, tools=[python_tool(_giving(pool))]) as runner:
        runner.models[""] = Resolved(model, profile)  # type: ignore[index]
        await runner.run(Task(question="q"))
    pool.close()
    parts = model.requests[1].messages[-1]["content"]
    assert isinstance(parts, list) and len(parts) == 2
    text, image = parts
    assert "plot.png" in text["text"]
    assert base64.b64decode(image["image_url"]["url"].removeprefix("data:image/png;base64,")) == PNG


def test_images_that_are_too_many_or_gone_are_left_out(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(6)]
    for path in paths[:5]:
        path.write_bytes(PNG)
    result = ToolResult("1", "python", "text", "ok", 0.0, {"images": [*map(str, paths), "/etc/passwd"]})
    assert content_of(result, vision=False) == "text"
    parts = content_of(result, vision=True)
    assert isinstance(parts, list) and [part["type"] for part in parts] == ["text", *["image_url"] * 4]
    assert parts[0]["text"] == "text\n[2 images are not shown.]"


async def test_branches_keep_their_files_apart(tmp_path: Path) -> None:
    pool, artifacts = Pool(await best_tier()), Artifacts(tmp_path)
    trunk = Session(artifacts)
    sessions = [trunk.fork(), trunk.fork()]
    tool = python_tool(_giving(pool))
    call = ToolCall("1", "python", "{\"code\": \"open('a.txt', 'w').write('x')\"}")
    results = await asyncio.gather(*[tool.call(call, session) for session in sessions])
    assert sorted(result.meta["files"][0]["path"] for result in results) == [
        str(tmp_path / "a-2.txt"), str(tmp_path / "a.txt"),
    ]  # fmt: skip
    for session in sessions:
        await session.close()
    pool.close()


async def test_a_task_s_files_can_be_read_and_not_changed(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for path in (tmp_path / "data.csv", tmp_path / "x" / "data.csv"):
        path.write_text(path.parent.name)
        path.chmod(0o600)
    code = (
        "import os\nprint(sorted(os.listdir('in')), open('in/data.csv').read() != open('in/data-2.csv').read())\n"
        "try: open('in/data.csv', 'w')\nexcept OSError: print('refused')"
    )
    model = ScriptedModel([call_tool("python", code=code), "7"])
    task = Task(question="q", inputs={"files": [str(tmp_path / "data.csv"), str(tmp_path / "x" / "data.csv")]})
    await ask_with_pool(ask, model, task)
    question = str(model.requests[0].messages[-1]["content"])
    assert "in/data.csv, in/data-2.csv" in question and str(tmp_path) not in question
    assert model.requests[1].messages[-1]["content"] == "['data-2.csv', 'data.csv'] True\nrefused"
    assert (tmp_path / "data.csv").read_text() == tmp_path.name


async def test_a_file_that_is_gone_is_text_for_the_model(ask: Ask) -> None:
    model = ScriptedModel([call_tool("python", code="1"), "7"])
    result = await ask_with_pool(ask, model, Task(question="q", inputs={"files": ["/nowhere/a.csv"]}))
    assert model.requests[1].messages[-1]["content"] == "The file a.csv can't be read: No such file or directory."
    assert result.text == "7"


def test_what_is_no_list_of_paths_is_refused() -> None:
    for wrong in ("a.csv", [1], {"a": "b"}):
        with pytest.raises(TaskError, match="list of paths"):
            files_of({"files": wrong})
    assert files_of({}) == [] and named([Path("/a/x"), Path("/b/x")]).keys() == {"x", "x-2"}
    with pytest.raises(ToolError):
        Inputs([Path("/nowhere")]).folder()


def test_the_command_line_refuses_a_missing_file(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["ask", "q?", "--file", str(tmp_path / "absent.csv")])
    assert "There is no file" in str(done.exception)


async def test_an_interpreter_copies_its_own_files() -> None:
    pool = Pool(await best_tier())
    interpreter: Interpreter = pool.interpreter()
    ran = await interpreter.run("open('a', 'w').write('hello')\nimport os; os.getcwd()")
    assert [(one.name, one.size) for one in ran.files] == [("a", 5)] and literal_eval(ran.execution.output)
    file = BytesIO()
    assert interpreter.copy("a", file, 100) == 5 and file.getvalue() == b"hello"
    await interpreter.close()
    assert interpreter.copy("a", file, 100) is None
    pool.close()


async def ask_with_pool(ask: Ask, model: ScriptedModel, task: Task | str = "q") -> Result:
    pool = Pool(await best_tier())
    try:
        return await ask(model, "tool_loop", task, tools=[python_tool(_giving(pool))])
    finally:
        pool.close()


def _giving(pool: Pool) -> Any:
    async def give() -> Pool:
        return pool

    return give
