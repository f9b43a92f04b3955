"""What servers do to the connections of a client that keeps them: no call is lost by it, and none is starved."""

import asyncio
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from maieutic.collector import collect, read_results
from maieutic.errors import ModelError
from maieutic.llm.profile import Profile
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.tasks.task import Task
from maieutic.types import Delta, Request
from tests.support.raw_server import ANSWER, Handler, RawServer, chunked, read_request, response
from tests.support.server import Answer, FakeServer

REQUEST = Request(({"role": "user", "content": "hi"},))


class Naps:
    """Stands in for waiting: notes how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def client(server: FakeServer | RawServer, naps: Naps | None = None, **fields: Any) -> OpenAICompatibleModel:
    profile = Profile(**{"kind": "vllm", "model": "m", **fields})
    return OpenAICompatibleModel("served", profile, server.url, sleep=naps or Naps())


def impatient(seconds: float) -> Handler:
    """Answers, and closes a connection on which nothing came for so long, as servers built on uvicorn do after 5 s."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                await asyncio.wait_for(read_request(reader), seconds)
            except TimeoutError:
                return
            writer.write(response())

    return answer


async def test_no_call_is_lost_to_a_server_that_closes_idle_connections_at_that_very_moment() -> None:
    naps = Naps()
    with RawServer(impatient(0.05)) as server:

        async def work() -> None:
            model = client(server, naps)  # of its own: what others leave idle would be taken before it is closed
            for _ in range(20):
                assert (await model.sample(REQUEST)).text == "4"
                await asyncio.sleep(random.uniform(0.046, 0.054))
            await model.close()

        await asyncio.gather(*(work() for _ in range(8)))
    assert naps.seconds == [] and server.connections > 8


async def test_an_idle_connection_that_was_closed_a_while_ago_is_not_used() -> None:
    naps = Naps()
    with RawServer(impatient(0.2)) as server:
        model = client(server, naps)
        await model.sample(REQUEST)
        await asyncio.sleep(0.6)
        assert (await model.sample(REQUEST)).text == "4"
        await model.close()
    assert server.connections == 2 and naps.seconds == []


@pytest.mark.slow
async def test_the_client_gives_a_connection_up_before_a_server_does_after_five_seconds() -> None:
    assert Profile(kind="vllm").timeouts.idle < 5.0
    naps = Naps()
    with RawServer(impatient(5.0)) as server:
        model = client(server, naps)
        await asyncio.gather(*(model.sample(REQUEST) for _ in range(16)))
        await asyncio.sleep(4.99)
        await asyncio.gather(*(model.sample(REQUEST) for _ in range(16)))
        await model.close()
    assert server.connections == 32 and naps.seconds == []


async def test_a_half_closed_connection_is_not_used_again() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response())
        writer.write_eof()  # no more from this side, though it would still listen
        await reader.read()

    naps = Naps()
    with RawServer(answer) as server:
        model = client(server, naps)
        for _ in range(3):
            assert (await model.sample(REQUEST)).text == "4"
        await model.close()
    assert server.connections == 3 and naps.seconds == []


async def test_an_error_that_closes_its_connection_unannounced_costs_one_repetition() -> None:
    served = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        while True:
            await read_request(reader)
            served += 1
            if served <= 16:
                writer.write(response(b'{"error": {"message": "boom"}}', status="500 Internal Server Error"))
                await writer.drain()
                return
            writer.write(response())

    naps = Naps()
    with RawServer(answer) as server:
        model = client(server, naps)
        completions = await asyncio.gather(*(model.sample(REQUEST) for _ in range(16)))
        await model.close()
    assert [c.text for c in completions] == ["4"] * 16
    assert served == 32 and len(naps.seconds) == 16


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_and_sixty_calls_that_wait_keep_no_other_from_being_served(stream: bool) -> None:
    def script(body: dict[str, Any]) -> Answer:
        return Answer("now") if body["messages"][0]["content"] == "quick" else Answer(delay=600)

    listener = (lambda delta: None) if stream else None
    with FakeServer(script) as server:
        model = client(server, concurrency=200)
        waiting = [asyncio.create_task(model.sample(REQUEST, listener)) for _ in range(160)]
        assert await server.until(lambda: server.running == 160, 30)
        quick = Request(({"role": "user", "content": "quick"},))
        assert (await asyncio.wait_for(model.sample(quick, listener), 30)).text == "now"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await server.until(lambda: server.running == 0, 30)
        await model.close()


async def test_headers_that_trickle_in_are_waited_for_as_long_as_the_first_byte() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for byte in response():
                writer.write(bytes([byte]))
                await asyncio.sleep(0.005)

    with RawServer(answer) as server:
        model = client(server, timeouts={"first_byte": 60})
        assert (await model.sample(REQUEST)).text == "4"
        await model.close()
        model = client(server, timeouts={"first_byte": 0.05})
        with pytest.raises(ModelError, match="did not begin to answer within 0.05 s"):
            await model.sample(REQUEST)
        await model.close()


@pytest.mark.parametrize("cut", [chunked(ANSWER[:20]), chunked(ANSWER)[:-4], response()[:-5], response()[:20], b""])
async def test_an_answer_that_ends_early_is_asked_for_again(cut: bytes) -> None:
    """In the middle of a chunk, without the last one, short of its length, within its head, before it."""
    answers = iter([cut])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            piece = next(answers, None)
            writer.write(response() if piece is None else piece)
            if piece is not None:
                await writer.drain()
                writer.close()  # politely: the other side reads what was written, and then its end
                await writer.wait_closed()
                return

    with RawServer(answer) as server:
        model = client(server)
        assert (await model.sample(REQUEST)).text == "4"
        await model.close()
    assert server.connections == 2


async def test_a_stream_whose_chunks_end_early_is_cut_once_something_was_heard() -> None:
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "4"}}]}\n\n'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(event, kind="text/event-stream"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    heard: list[Delta] = []
    with RawServer(answer) as server:
        model = client(server)
        with pytest.raises(ModelError, match="broke off in the middle of its answer") as caught:
            await model.sample(REQUEST, heard.append)
        await model.close()
    assert (caught.value.kind, [d.text for d in heard], server.connections) == ("cut", ["4"], 1)


async def test_a_server_that_restarts_in_the_middle_of_a_collection_costs_no_run(tmp_path: Path) -> None:
    tasks = [Task(id=f"t{i}", question=f"Question {i}?", gold="4") for i in range(60)]
    naps: list[float] = []

    async def nap(seconds: float) -> None:  # as long as it takes until the server is back
        naps.append(seconds)
        await asyncio.wait_for(back.wait(), 60)

    back = asyncio.Event()
    with ExitStack() as before, ExitStack() as after:
        server = before.enter_context(FakeServer(Answer("Answer: 4", delay=0.02), port=0))
        model = OpenAICompatibleModel("served", Profile(kind="vllm", model="m"), server.url, sleep=nap)
        collecting = asyncio.create_task(collect(tasks, out=tmp_path, model=model, concurrency=6))
        assert await server.until(lambda: len(server.requests) > 15, 30)
        await asyncio.to_thread(before.close)
        assert await server.until(lambda: len(naps) == 6, 30)
        again = after.enter_context(FakeServer(Answer("Answer: 4"), port=server.port))
        back.set()
        report = await collecting
        await model.close()
    assert (report.done, report.failed) == (60, 0)
    assert len(again.requests) > 0 and {row.answer for row in read_results(tmp_path)} == {"4"}
