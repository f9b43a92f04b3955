"""Going back: an interpreter's snapshots, and what is said of cells that come out differently the second time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maieutic.tools.sandbox.interpreter import Restored
from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.tier import Limits

MakePool = Callable[..., Pool]


async def said(interpreter: Any, code: str) -> str:
    return str((await interpreter.run(code)).execution.output)


async def test_an_interpreter_goes_back(make_pool: MakePool) -> None:
    interpreter = make_pool().interpreter()
    await interpreter.run("x = 1\nlog = ['a']")
    await interpreter.run("import math\nx += 1")
    before = interpreter.snapshot()
    await interpreter.run("x = 100\nlog.append('b')\nopen('later', 'w').close()")
    assert await interpreter.restore(before) == Restored(2, ())
    assert await said(interpreter, "import os\nx, log, math.floor(2.5), os.listdir('.')") == "(2, ['a'], 2, [])\n"
    await interpreter.run("x += 40")
    assert await interpreter.restore(before) == Restored(2, ())
    assert await said(interpreter, "x") == "2\n"
    await interpreter.close()


async def test_a_tree_of_states_can_be_walked(make_pool: MakePool) -> None:
    interpreter = make_pool().interpreter()
    root = interpreter.snapshot()
    leaves = {}
    for first in (1, 2):
        await interpreter.restore(root)
        await interpreter.run(f"path = [{first}]")
        node = interpreter.snapshot()
        for second in (3, 4):
            await interpreter.restore(node)
            await interpreter.run(f"path.append({second})")
            leaves[first, second] = interpreter.snapshot()
    for path, leaf in leaves.items():
        assert await interpreter.restore(leaf) == Restored(2, ())
        assert await said(interpreter, "tuple(path)") == f"{path}\n"
    assert await interpreter.restore(root) == Restored(0, ())
    assert (await interpreter.run("'path' in globals()")).fresh is False
    await interpreter.close()


async def test_what_comes_out_differently_is_named(make_pool: MakePool) -> None:
    interpreter = make_pool().interpreter()
    await interpreter.run("x = 1")
    await interpreter.run("import secrets; secrets.token_hex(8)")
    await interpreter.run("object()")  # its address is no difference
    await interpreter.run("1 / 0")
    assert await interpreter.restore(interpreter.snapshot()) == Restored(4, (2,))
    assert await said(interpreter, "x") == "1\n"
    await interpreter.close()


async def test_a_state_that_a_time_out_cut_off_is_had_again_as_well_as_can_be(make_pool: MakePool) -> None:
    interpreter = make_pool(Limits(seconds=0.3, grace=30)).interpreter()
    await interpreter.run("n = 0\nwhile True: n += 1")
    restored = await interpreter.restore(interpreter.snapshot())
    assert restored.cells == 1 and restored.complete
    assert int(await said(interpreter, "n")) > 0
    await interpreter.close()


async def test_a_cell_that_now_kills_the_interpreter_leaves_a_new_one(make_pool: MakePool, tmp_path: Path) -> None:
    interpreter = make_pool().interpreter()
    await interpreter.run("x = 1")
    await interpreter.run("import os\nif os.path.exists('in/seen'): os._exit(1)")
    there = interpreter.snapshot()
    tmp_path.chmod(0o755)
    (tmp_path / "seen").touch()
    interpreter.binds = {"/in": tmp_path}  # the world has changed meanwhile
    restored = await interpreter.restore(there)
    assert restored == Restored(2, (2,), complete=False)
    ran = await interpreter.run("'x' in globals()")
    assert (ran.execution.output, ran.fresh) == ("False\n", True)
    await interpreter.close()


async def test_an_unknown_snapshot_is_refused(make_pool: MakePool) -> None:
    pool = make_pool()
    first, second = pool.interpreter(), pool.interpreter()
    await first.run("x = 1")
    with pytest.raises(KeyError):
        await second.restore(first.snapshot())
    assert await said(first, "x") == "1\n"
    await first.close()
    await second.close()


async def test_files_written_again_are_not_told_again(make_pool: MakePool) -> None:
    interpreter = make_pool().interpreter()
    assert [one.name for one in (await interpreter.run("open('a', 'w').write('x')")).files] == ["a"]
    await interpreter.restore(interpreter.snapshot())
    assert (await interpreter.run("open('a').read()")).files == ()
    await interpreter.close()
