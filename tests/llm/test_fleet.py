"""Several servers behind one name: where calls go, and what becomes of them when servers die, flap, lag or refuse."""

import asyncio
import gc
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from maieutic.errors import ModelError
from maieutic.llm.model import TokenModel
from maieutic.llm.profile import Profile
from maieutic.llm.scripted import ScriptedModel
from maieutic.llm.server.fleet import Fleet
from maieutic.llm.server.member import Member
from maieutic.llm.server.routing import RAW_PREFIX, SLACK, pick, prefix_of
from maieutic.types import Completion, Delta, Message, Request
from tests.support.raw_server import RawServer, read_request, response
from tests.support.server import Answer, FakeServer

SYSTEM: Message = {"role": "system", "content": "Solve."}


class ScriptedServer(ScriptedModel):
    """A scripted model that says what it serves, as a server does."""

    def __init__(self) -> None:
        super().__init__("4")

    async def served(self) -> list[str]:
        return ["m"]


class Naps:
    """Stands in for waiting: notes how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def question(text: object) -> Request:
    return Request((SYSTEM, {"role": "user", "content": str(text)}))


def fleet_of(*servers: FakeServer, naps: Naps | None = None, **fields: Any) -> Fleet:
    fleet = Fleet.of("f", Profile(**{"kind": "vllm", "model": "m", **fields}), [s.url for s in servers])
    if naps is not None:
        fleet._sleep = naps
    return fleet


@contextmanager
def serving(*scripts: Any, **options: Any) -> Iterator[list[FakeServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeServer(script, **options)) for script in scripts]


def member_of(fleet: Fleet, server: FakeServer) -> Member:
    return next(member for member in fleet.members if member.url == server.url)


def question_for(fleet: Fleet, server: FakeServer) -> Request:
    """A question whose prefix belongs to this server."""
    return next(q for q in map(question, range(1000)) if pick(prefix_of(q), fleet.members).url == server.url)


async def until(condition: Any, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.005)
    return True


def free_port() -> int:
    """A port that no outgoing connection is given, so that a server can come back to it."""
    while True:
        with socket.socket() as one:
            port = random.randrange(20_000, 32_000)
            with suppress(OSError):
                one.bind(("127.0.0.1", port))
                return port


async def cancel(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("distinct", [True, False])
async def test_sixty_four_calls_are_spread(distinct: bool) -> None:
    with serving(*[Answer(delay=60)] * 4) as servers:
        fleet = fleet_of(*servers)
        calls = [asyncio.create_task(fleet.sample(question(i if distinct else "same"))) for i in range(64)]
        assert await until(lambda: sum(server.running for server in servers) == 64)
        running = [server.running for server in servers]
        assert running == [member.running for member in fleet.members]
        await cancel(calls)
        await fleet.close()
    assert max(running) - min(running) <= SLACK + 1


async def test_samples_and_later_turns_of_a_question_stay_where_its_prefix_is() -> None:
    with serving(*[Answer("4")] * 3) as servers:
        fleet = fleet_of(*servers)
        places: list[str] = []
        for i in range(20):
            first = question(f"What is {i} + {i}?")
            completions = list(await asyncio.gather(*(fleet.sample(first) for _ in range(5))))
            turn: Message = {"role": "user", "content": "Are you sure?"}
            later = Request((*first.messages, completions[0].message(), turn))
            completions.append(await fleet.sample(later))
            where = {completion.extra["server"] for completion in completions}
            assert len(where) == 1
            places += where
        await fleet.close()
    assert set(places) <= {server.url for server in servers} and len(set(places)) > 1


async def test_a_server_that_lags_gets_no_more_than_it_can_hold() -> None:
    with serving(Answer(), Answer(delay=600)) as (quick, slow):
        fleet = fleet_of(quick, slow)
        numbers = iter(range(10**6))

        async def work() -> None:
            for i in numbers:
                await fleet.sample(question(i))

        workers = [asyncio.create_task(work()) for _ in range(24)]
        assert await until(lambda: len(quick.requests) > 200)
        await cancel(workers)
        await fleet.close()
    assert 0 < len(slow.requests) <= (24 + SLACK + 1) // 2  # then it was that much busier than the other


async def test_a_server_killed_in_the_middle_loses_no_call(caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as dying, serving(*[Answer(delay=0.02)] * 2) as living:
        victim = dying.enter_context(FakeServer(Answer(delay=0.02)))
        fleet = fleet_of(victim, *living)
        ended, done, numbers = asyncio.Event(), 0, iter(range(10**6))

        async def work() -> None:
            nonlocal done
            while not ended.is_set():
                assert (await fleet.sample(question(next(numbers)))).text == "hello"
                done += 1

        working = [asyncio.create_task(work()) for _ in range(16)]
        assert await until(lambda: done > 50 and victim.running > 0)
        await asyncio.to_thread(dying.close)
        before = done
        assert await until(lambda: done > before + 150)
        ended.set()
        await asyncio.gather(*working)
        await fleet.close()
    assert all(len(server.requests) > 30 for server in living)
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1 and told[0].startswith(f"The server at {victim.url} is left out for now: ")


async def test_a_server_that_comes_and_goes_loses_no_call_and_comes_back_by_itself() -> None:
    with serving(Answer(delay=0.01)) as (steady,), ExitStack() as before:
        first = before.enter_context(FakeServer(port=free_port()))
        fleet = fleet_of(steady, first)
        ended = asyncio.Event()
        lost: list[ModelError] = []

        async def work(worker: int) -> None:
            i = 0
            while not ended.is_set():
                i += 1
                try:
                    await fleet.sample(question(f"{worker}/{i}"))
                except ModelError as error:
                    lost.append(error)

        workers = [asyncio.create_task(work(n)) for n in range(8)]
        assert await until(lambda: len(first.requests) > 5)
        await asyncio.to_thread(before.close)
        for _ in range(3):
            with FakeServer(Answer(delay=0.01), port=first.port) as again:
                assert await until(lambda server=again: len(server.requests) > 5)
        ended.set()
        await asyncio.gather(*workers)
        await fleet.close()
    assert lost == []


async def test_all_dead_is_one_sentence_that_names_them_all() -> None:
    with serving(None, None) as servers:
        pass
    naps = Naps()
    fleet = fleet_of(*servers, naps=naps)
    with pytest.raises(ModelError) as caught:
        await fleet.sample(question(1))
    await fleet.close()
    assert caught.value.kind == "unreachable" and caught.value.retryable
    assert all(f"{server.url} (nothing answers there)" in str(caught.value) for server in servers)
    assert str(caught.value).endswith("start one (vllm serve NAME --port 8000) or give another --model.")
    assert naps.seconds == []


async def test_servers_that_were_there_are_waited_for() -> None:
    naps = Naps()
    with FakeServer(port=free_port()) as other, FakeServer() as another:
        servers = [other, another]
        fleet = fleet_of(*servers, naps=naps, retries=3)
        await fleet.sample(question(1))
    with pytest.raises(ModelError, match="No server of f gives an answer"):
        await fleet.sample(question(1))
    assert len(naps.seconds) == 3 and naps.seconds == sorted(naps.seconds)
    with FakeServer(port=servers[0].port):
        assert (await fleet.sample(question(1))).extra["server"] == servers[0].url
    await fleet.close()


async def test_one_that_is_not_there_yet_does_not_keep_a_run_from_starting() -> None:
    with FakeServer(port=free_port()) as gone:
        pass
    with FakeServer() as there:
        fleet = fleet_of(gone, there)
        answers = [await fleet.sample(question(i)) for i in range(10)]
        with FakeServer(port=gone.port) as late:
            numbers = iter(range(10**6))

            async def asked() -> None:
                while not late.requests:
                    await fleet.sample(question(next(numbers)))

            await asyncio.wait_for(asked(), 20)
        await fleet.close()
    assert {answer.extra["server"] for answer in answers} == {there.url}


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_what_no_server_would_take_is_not_tried_elsewhere(status: int) -> None:
    with serving(*[Answer("no way", status=status)] * 2) as servers:
        fleet = fleet_of(*servers)
        with pytest.raises(ModelError) as caught:
            await fleet.sample(question(1))
        await fleet.close()
    assert caught.value.status == status
    assert sum(len(server.requests) for server in servers) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_what_another_may_do_is_tried_there_without_waiting(status: int) -> None:
    naps = Naps()
    with serving(Answer(status=status, headers={"Retry-After": "50"}), Answer("4")) as (bad, good):
        fleet = fleet_of(bad, good, naps=naps)
        mine = question_for(fleet, bad)
        completion = await fleet.sample(mine)
        assert (completion.text, completion.extra["server"]) == ("4", good.url)
        assert (len(bad.requests), naps.seconds) == (1, [])
        if status in (429, 503):  # it asked to be left alone
            assert [(await fleet.sample(mine)).text for _ in range(3)] == ["4"] * 3
            assert len(bad.requests) == 1
        await fleet.close()


async def test_when_all_are_busy_the_shortest_wait_is_kept() -> None:
    naps = Naps()
    busy = [[Answer(status=429, headers={"Retry-After": wait}), Answer("4")] for wait in ("40", "7")]
    with serving(*busy) as servers:
        fleet = fleet_of(*servers, naps=naps)
        assert (await fleet.sample(question(1))).text == "4"
        await fleet.close()
    assert len(naps.seconds) == 1 and naps.seconds[0] == pytest.approx(6.5, abs=1.0)


async def test_busy_servers_are_not_asked_for_ever() -> None:
    naps = Naps()
    with serving(*[Answer(status=503)] * 2) as servers:
        fleet = fleet_of(*servers, naps=naps, retries=2)
        with pytest.raises(ModelError, match="No server of f gives an answer") as caught:
            await fleet.sample(question(1))
        await fleet.close()
    assert (caught.value.kind, caught.value.status, caught.value.retryable) == ("overloaded", 503, True)
    assert sum(len(server.requests) for server in servers) == 6 and len(naps.seconds) == 2


async def test_a_request_that_breaks_every_server_is_given_up_and_the_servers_go_on() -> None:
    def script(body: dict[str, Any]) -> Answer:
        return Answer("boom", status=500) if "poison" in body["messages"][-1]["content"] else Answer("4")

    with serving(script, script) as servers:
        fleet = fleet_of(*servers, naps=Naps(), retries=3)
        with pytest.raises(ModelError, match="boom") as caught:
            await fleet.sample(question("poison"))
        assert caught.value.status == 500
        assert sum(len(server.requests) for server in servers) == 4
        assert (await fleet.sample(question("good"))).text == "4"
        await fleet.close()


async def test_a_stream_goes_elsewhere_only_until_something_was_heard() -> None:
    heard: list[Delta] = []
    with serving(Answer("hello", cut_after=1), Answer("world")) as (bad, good):
        fleet = fleet_of(bad, good)
        completion = await fleet.sample(question_for(fleet, bad), heard.append)
        await fleet.close()
    assert (completion.text, "".join(d.text for d in heard)) == ("world", "world")
    with serving(Answer("hello", cut_after=2), Answer("world")) as (bad, good):
        fleet = fleet_of(bad, good)
        with pytest.raises(ModelError, match="broke off in the middle") as caught:
            await fleet.sample(question_for(fleet, bad), heard.append)
        assert member_of(fleet, bad).out  # until a look at it shows that it lives
        assert await until(lambda: not member_of(fleet, bad).out)
        await fleet.close()
    assert caught.value.kind == "cut" and good.requests == []


async def test_a_server_that_hangs_is_found_out_and_one_that_is_slow_is_not_left_out() -> None:
    times = {"connect": 0.3, "first_byte": 0.3}
    with serving(Answer(delay=60), Answer("4")) as (slow, good):
        fleet = fleet_of(slow, good, timeouts=times)
        with pytest.raises(ModelError, match="did not begin to answer within 0.3 s"):
            await fleet.sample(question_for(fleet, slow))
        assert not member_of(fleet, slow).out
        await fleet.close()
    with FakeServer(Answer("4")) as good, FakeServer(Answer(delay=60)) as hung:
        fleet = fleet_of(hung, good, timeouts=times)
        await fleet.sample(question_for(fleet, good))
        moves = threading.Event()
        hung._loop.call_soon_threadsafe(moves.wait, 60)  # its whole process stands still
        completion = await fleet.sample(question_for(fleet, hung))
        assert completion.extra["server"] == good.url and member_of(fleet, hung).out
        moves.set()
        while not await member_of(fleet, hung).probe():
            await asyncio.sleep(0.05)
        assert not member_of(fleet, hung).out
        await fleet.close()


async def test_cancelled_calls_leave_nothing_running() -> None:
    with serving(*[Answer(delay=60)] * 3) as servers:
        fleet = fleet_of(*servers)
        calls = [asyncio.create_task(fleet.sample(question(i), lambda d: None)) for i in range(16)]
        calls += [asyncio.create_task(fleet.sample(question(-i))) for i in range(16)]
        assert await until(lambda: sum(server.running for server in servers) == 32)
        await cancel(calls)
        for server in servers:
            assert await until(lambda server=server: server.running == 0)
        assert [member.running for member in fleet.members] == [0, 0, 0]
        await fleet.close()


async def test_servers_of_different_models_are_refused_at_the_first_call() -> None:
    with FakeServer(models=["m"]) as right, FakeServer(models=["llama"]) as wrong:
        fleet = fleet_of(right, wrong)
        with pytest.raises(ModelError, match=f"has the model 'm': {wrong.url} serves llama. Leave out"):
            await fleet.sample(question(1))
        await fleet.close()
        fleet = fleet_of(right, wrong, model="")
        with pytest.raises(ModelError, match="not clear which model is meant.*serves m;.*serves llama. Name one"):
            await fleet.sample(question(1))
        await fleet.close()
    assert right.requests == wrong.requests == []


async def test_the_only_model_of_all_servers_needs_no_name() -> None:
    with serving(None, None, models=["only"]) as servers:
        fleet = fleet_of(*servers, model="")
        completions = await asyncio.gather(*(fleet.sample(question(i)) for i in range(8)))
        await fleet.close()
    assert {completion.model for completion in completions} == {"only"}


async def test_a_server_that_comes_back_with_another_model_stays_out(caplog: pytest.LogCaptureFixture) -> None:
    with FakeServer() as good, ExitStack() as before:
        changing = before.enter_context(FakeServer(port=free_port()))
        fleet = fleet_of(good, changing)
        await fleet.sample(question(1))
        mine = question_for(fleet, changing)
        await asyncio.to_thread(before.close)
        await fleet.sample(mine)
        with FakeServer(models=["other"], port=changing.port) as other:
            assert await member_of(fleet, changing).probe() is False
            assert [(await fleet.sample(mine)).extra["server"] for _ in range(3)] == [good.url] * 3
        await fleet.close()
    assert other.requests == [] and "nothing answers there" in caplog.text


async def test_limits_hold_for_the_fleet_as_a_whole() -> None:
    with serving(*[Answer(delay=0.02)] * 2) as servers:
        fleet = fleet_of(*servers, concurrency=3)
        await asyncio.gather(*(fleet.sample(question(i)) for i in range(12)))
        await fleet.close()
    assert sum(server.peak for server in servers) <= 6 and all(server.peak <= 3 for server in servers)
    with serving(*[Answer(delay=0.1, status=503)] * 2) as servers:
        fleet = fleet_of(*servers, naps=Naps(), retries=10_000, timeouts={"total": 0.5})
        with pytest.raises(ModelError, match="did not finish its answer within 0.5 s"):
            await fleet.sample(question(1))
        await fleet.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the first loop ends with its connections open
def test_a_fleet_outlives_its_event_loop() -> None:
    with serving(None, None) as servers:
        fleet = fleet_of(*servers)

        async def ask(end: bool) -> Completion:
            completion = await fleet.sample(question(1))
            if end:
                await fleet.close()
            return completion

        assert [asyncio.run(ask(end)).text for end in (False, True)] == ["hello", "hello"]
    gc.collect()


async def test_tokens_are_at_hand_whichever_server_answers() -> None:
    with FakeServer() as gone:
        pass
    with FakeServer() as there:
        fleet: TokenModel = fleet_of(gone, there)
        assert await fleet.encode("hi") == tuple(b"hi")
        assert await fleet.decode(tuple(b"hi")) == "hi"
        ids = await fleet.render(question(1))
        raw = Request((), prompt_ids=ids)
        completion = await fleet.sample(raw)
        await fleet.close()
    assert completion.prompt_token_ids == ids and completion.extra["server"] == there.url


async def test_raw_prompts_stay_with_their_prefix_too() -> None:
    with serving(*[Answer("4")] * 3) as servers:
        fleet = fleet_of(*servers)
        places = []
        for i in range(12):
            prompts = [tuple(range(i, i + RAW_PREFIX)) + tail for tail in ((), (7,), (8, 9))]
            where = {(await fleet.sample(Request((), prompt_ids=ids))).extra["server"] for ids in prompts}
            assert len(where) == 1
            places += where
        await fleet.close()
    assert len(set(places)) > 1


async def test_servers_that_list_no_models_are_believed() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(response() if await read_request(reader) else response(b"{}", status="404 Not Found"))

    with RawServer(answer) as a, RawServer(answer) as b:
        fleet = Fleet.of("f", Profile(kind="openai-compatible", model="m"), [a.url, b.url])
        assert {(await fleet.sample(question(i))).text for i in range(12)} == {"4"}
        assert not any(member.out for member in fleet.members)
        await fleet.close()


def test_a_server_that_leaves_moves_only_its_own_share() -> None:
    everyone = [Member(f"http://gpu{i}:8000/v1", ScriptedServer()) for i in range(5)]
    prefixes = [prefix_of(question(i)) for i in range(1000)]
    before = [pick(prefix, everyone) for prefix in prefixes]
    after = [pick(prefix, everyone[1:]) for prefix in prefixes]
    shares = [before.count(member) for member in everyone]
    assert all(130 < share < 270 for share in shares)
    assert all(now is then for then, now in zip(before, after, strict=True) if then is not everyone[0])
