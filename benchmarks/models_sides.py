"""The sides that `models.py` compares: bare clients, ours, its graphs, and the peers."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import models_graph
import orjson
from models_servers import ItsHub, Server

from maieutic.graphs.graph import Graph
from maieutic.llm.scripted import ScriptedModel
from maieutic.llm.server.wire import request_body
from maieutic.runner import open_runner
from maieutic.tasks.task import Task
from maieutic.types import Message, Request, Sampling

QUESTION = "A shop sells pens at 4 for 3 coins. What do 12 pens cost, in coins?"
QUESTIONS = 16
VOTERS = 5  # optillm's number of samples, which can't be changed
Turn = Callable[[], Awaitable[int]]
Post = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Side:
    """One way of getting `calls` answers; `turn` gets them and returns their tokens. `timed` where it times itself."""

    name: str
    calls: int
    turn: Turn | None = None
    timed: Callable[[], dict[str, float]] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Sides that do the same work; the first is what the others are compared with."""

    name: str
    sides: list[Side] = field(default_factory=list)


async def at_once(one: Post, times: int, width: int) -> int:
    """`one` so many times, at most `width` of them at once; the tokens of all."""
    left = iter(range(times))

    async def work() -> int:
        return sum([await one() for _ in left])

    return sum(await asyncio.gather(*(work() for _ in range(width))))


async def messages_of_solver(traces: Path) -> tuple[Message, ...]:
    """What the shipped graphs send for the question."""
    model = ScriptedModel("Answer: 7")
    async with open_runner("direct", model=model, traces=traces) as runner:
        await runner.run(Task(question=QUESTION))
    return model.requests[0].messages


@dataclass(frozen=True)
class Bench:
    """All sides at one server. `size` scales how many calls are made."""

    server: Server
    tokens: int
    size: int
    folder: Path
    stack: AsyncExitStack
    messages: tuple[Message, ...]
    its_hub: ItsHub | None
    optillm: str | None

    async def groups(self) -> list[Group]:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        session = await self.stack.enter_async_context(session)
        limits = httpx.Limits(max_connections=None)
        plain = await self.stack.enter_async_context(httpx.AsyncClient(limits=limits, timeout=600))
        profile = self._profile()
        direct = await self.stack.enter_async_context(open_runner("direct", model=profile, traces=self.folder / "d"))
        model = direct.models[""].model
        url = f"{self.server.url}/chat/completions"
        content = {"content-type": "application/json"}

        async def with_aiohttp() -> int:
            async with session.post(url, data=orjson.dumps(self._body()), headers=content) as response:
                return _tokens(orjson.loads(await response.read()))

        async def with_httpx() -> int:
            return _tokens(
                orjson.loads((await plain.post(url, content=orjson.dumps(self._body()), headers=content)).content)
            )

        async def ours() -> int:
            return (await model.sample(self._request())).usage.completion_tokens

        posts: dict[str, Post] = {"bare aiohttp": with_aiohttp, "bare httpx": with_httpx, "maieutic": ours}
        found = [self._calls(posts, 16), self._calls(posts, 64), await self._nodes(ours, profile)]
        for samples in (5, 8, 64):
            found.append(await self._voting(with_aiohttp, profile, samples, 1))
        found.append(await self._voting(with_aiohttp, profile, VOTERS, QUESTIONS))
        return found

    def _calls(self, posts: dict[str, Post], width: int) -> Group:
        calls = self.size * width
        sides = [Side(name, calls, lambda one=one: at_once(one, calls, width)) for name, one in posts.items()]
        return Group(f"calls, {width} in flight", sides)

    async def _nodes(self, ours: Post, profile: str) -> Group:
        graph = Graph.of("five nodes", models_graph, {})
        runner = await self.stack.enter_async_context(open_runner(graph, model=profile, traces=self.folder / "five"))
        runs = max(64, self.size * 64 // models_graph.NODES)
        calls = runs * models_graph.NODES

        async def one() -> int:
            return (await runner.run(Task(question=QUESTION))).usage.completion_tokens

        alone = Side("maieutic, the client alone", calls, lambda: at_once(ours, calls, 64))
        return Group(
            "graph of five nodes, 64 in flight",
            [alone, Side("maieutic, the graph", calls, lambda: at_once(one, runs, 64))],
        )

    async def _voting(self, raw: Post, profile: str, samples: int, questions: int) -> Group:
        calls = samples * questions
        sides = [Side("bare aiohttp", calls, lambda: at_once(raw, calls, calls))]
        for name, stop in (("maieutic", False), ("maieutic, early stop", True)):
            settings = {"samples": samples, "early_stop": stop}
            folder = self.folder / f"{samples}-{questions}-{stop}"
            opened = open_runner("self_consistency", model=profile, traces=folder, graph_settings=settings)
            runner = await self.stack.enter_async_context(opened)

            async def one(runner: Any = runner) -> int:
                tokens: int = (await runner.run(Task(question=QUESTION))).usage.completion_tokens
                return tokens

            sides.append(Side(name, calls, lambda one=one: at_once(one, questions, questions)))
        if (hub := self.its_hub) is not None:
            job = {"url": self.server.url, "model": self.server.model, "messages": self.messages}
            job |= {"samples": samples, "questions": questions, "max_tokens": self._longest()}
            sides.append(Side("its_hub", calls, timed=lambda: hub.run(job)))
        if (proxy := self.optillm) is not None and samples == VOTERS:
            sides.append(Side("optillm", calls, lambda: self._proxied(proxy, questions)))
        which = f"{questions} questions at once, {samples} samples" if questions > 1 else f"{samples} samples"
        return Group(f"self_consistency, {which}", sides)

    async def _proxied(self, proxy: str, questions: int) -> int:
        body = {
            "model": f"self_consistency-{self.server.model}",
            "messages": self.messages,
            "max_tokens": self._longest(),
        }

        async def one() -> int:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as session:
                async with session.post(f"{proxy}/chat/completions", json=body) as response:
                    text = await response.text()
                    assert response.status == 200, text
                    return VOTERS * self.tokens

        return await at_once(one, questions, questions)

    def _profile(self) -> str:
        """A profile of the server as a file: its answers are of one length, so nothing may end one earlier."""
        path = self.folder / "profile.yaml"
        text = f"kind: vllm\nmodel: {self.server.model}\nbase_url: {self.server.url}\nloop_guard: false\n"
        text += "timeouts: {idle: 15}\n"  # aiohttp's own choice, and so the bare client's
        path.write_text(
            f"{text}sampling: {{temperature: 1.0, max_tokens: {self._longest()}, extra: {self._extra()}}}\n"
        )
        return str(path)

    def _longest(self) -> int:
        return self.tokens * 2 if self.server.fixed else self.tokens

    def _extra(self) -> dict[str, Any]:
        return {} if self.server.fixed else {"ignore_eos": True}

    def _request(self) -> Request:
        seed = random.getrandbits(31)
        return Request(self.messages, Sampling(1.0, max_tokens=self._longest(), seed=seed, extra=self._extra()))

    def _body(self) -> dict[str, Any]:
        return request_body(self._request(), self.server.model, stream=False, token_ids=True)


def _tokens(payload: dict[str, Any]) -> int:
    tokens: int = payload["usage"]["completion_tokens"]
    return tokens
