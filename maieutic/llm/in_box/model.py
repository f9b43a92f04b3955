"""The in-box model: a small language model in the package, sampled in this process without a server, key or GPU.

Concurrent calls share one running batch: a call joins at the next token, and leaves when it ends or is cancelled. Each
has its own random numbers, so that what a call says depends on its prompt and seed, not on who shares the batch.
"""

import asyncio
import itertools
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.errors import ModelError
from maieutic.llm.in_box.chat import Chat, read_calls
from maieutic.llm.in_box.engine import CONTEXT, Engine, choose, likeliest
from maieutic.llm.in_box.scope import in_scope, refusal
from maieutic.llm.in_box.weights import FIRST, SHIPPED
from maieutic.llm.model import Enough, OnDelta, check_raw
from maieutic.types import Completion, Delta, Request, Sampling, Usage

WEIGHTS = SHIPPED[FIRST]
MAX_ROWS = 64


@dataclass(eq=False, slots=True)
class _Job:
    """One call under way: owned by the worker's thread but for `gone`, which any thread may set."""

    prompt: list[int]
    sampling: Sampling
    limit: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future["_Job"]
    on_delta: OnDelta | None
    random: np.random.Generator
    silent: bool = False  # may not call a tool
    raw: bool = False
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    tops: list[tuple[tuple[str, float], ...]] = field(default_factory=list)
    finish: str = ""
    text: str = ""
    stream: Any = None
    calling: bool = False
    gone: bool = False


class InBoxModel:
    """The `TokenModel` that ships with Maieutic. Its thread starts with the first call and ends with `close`.

    `folder` holds a checkpoint as `python -m maieutic.in_box export` writes it. `check_scope=False` lets the weights
    answer whatever they are asked, which is how the card measures them.
    """

    def __init__(
        self, folder: Path = WEIGHTS, threads: int | None = None, check_scope: bool = True, name: str = "in-box"
    ) -> None:
        self.name = name
        self.chat = Chat(folder)
        self._check_scope = check_scope
        self._threads = threads or min(4, _cores())
        self._worker: _Worker | None = None
        self._calls = itertools.count()

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """One completion. Raises ModelError where the prompt leaves no room in the context of 1,024 tokens, and for a
        schema, which it can't be held to.

        Unset temperature means 1. Log-probabilities are the model's own, before temperature and cut-offs. A reply to
        `prompt_ids` is text alone: a tool call in it is not read.
        """
        started = time.monotonic()
        job = self._job(request, on_delta)
        if not job.raw and self._check_scope and not in_scope(request.messages):
            return _refuse(refusal(self.name, self.chat.template_hash), on_delta)
        if self._worker is None:
            self._worker = _Worker(self.chat, self._threads)
            self._worker.start()
        self._worker.submit(job)
        try:
            heard = await job.done
        finally:
            job.gone = True
        return self._completion(heard, request, time.monotonic() - started)

    async def render(self, request: Request) -> tuple[int, ...]:
        """The token ids that the chat template makes of the request's messages and tools."""
        return tuple(self._prompt(request))

    async def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a piece of text; special tokens that stand in it are recognised."""
        return tuple(self.chat.encode(text))

    async def decode(self, token_ids: tuple[int, ...]) -> str:
        """The text of token ids, special tokens included."""
        return self.chat.decode(token_ids, special=True)

    async def close(self) -> None:
        """End the thread; calls under way fail with ModelError."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
            await asyncio.to_thread(worker.join)

    def _job(self, request: Request, on_delta: OnDelta | None) -> _Job:
        sampling = request.sampling
        if request.schema is not None:
            raise ModelError(
                "The in-box model can't be held to a JSON schema: use a model on a vLLM server, or read its text."
            )
        check_raw(request)
        prompt = self._prompt(request) if request.prompt_ids is None else self._known(request.prompt_ids)
        left = CONTEXT - len(prompt)
        if left < 1:
            raise ModelError(
                f"The prompt has {len(prompt)} tokens and the in-box model's context holds {CONTEXT}:"
                " ask something shorter, or use a larger model.",
                kind="refused",
            )
        limit = left if sampling.max_tokens is None else min(left, sampling.max_tokens)
        loop = asyncio.get_running_loop()
        return _Job(
            prompt,
            sampling,
            limit,
            loop,
            loop.create_future(),
            on_delta,
            np.random.default_rng(sampling.seed),
            silent=request.tool_choice == "none",
            raw=request.prompt_ids is not None,
        )

    def _prompt(self, request: Request) -> list[int]:
        return self.chat.encode(self.chat.prompt(request.messages, request.tools, request.continue_final))

    def _known(self, ids: tuple[int, ...]) -> list[int]:
        size = len(self.chat.pieces)
        if not ids or not all(0 <= i < size for i in ids):
            raise ModelError(f"The in-box model goes on from at least one token id, each from 0 to {size - 1}.")
        return list(ids)

    def _completion(self, job: _Job, request: Request, seconds: float) -> Completion:
        said, calls = (job.text, ()) if job.raw else read_calls(job.text, f"call-{next(self._calls)}")
        return Completion(
            text=said,
            tool_calls=calls,
            finish_reason="tool_calls" if calls and job.finish == "stop" else job.finish,
            prompt_token_ids=tuple(job.prompt),
            token_ids=tuple(job.tokens),
            logprobs=tuple(job.logprobs) if request.sampling.logprobs else None,
            top_logprobs=tuple(job.tops) if request.sampling.top_logprobs else None,
            usage=Usage(1, len(job.prompt), len(job.tokens), seconds=seconds),
            model=self.name,
            weights=self.chat.weights_hash,
            template=None if job.raw else self.chat.template_hash,
        )


def _cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _refuse(said: Completion, on_delta: OnDelta | None) -> Completion:
    try:
        if on_delta is not None:
            on_delta(Delta(said.text, tokens=0))
    except Enough as enough:
        return replace(said, finish_reason=enough.reason)
    return said


class _Worker(threading.Thread):
    """The thread that owns the engine: admits, advances, delivers."""

    def __init__(self, chat: Chat, threads: int) -> None:
        super().__init__(name="maieutic-in-box", daemon=True)
        self._chat = chat
        self._threads = threads
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._stopping = False
        self._ended: Exception | None = None
        self._rows: list[_Job] = []
        self._posts: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = defaultdict(list)

    def submit(self, job: _Job) -> None:
        with self._changed:
            if self._ended is not None:
                raise self._ended
            self._waiting.append(job)
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        error: Exception = ModelError("The in-box model was closed while it was answering.", kind="cut")
        try:
            engine = Engine(self._chat.folder / "model.onnx", self._threads)
            while self._wait():
                self._admit(engine)
                self._advance(engine)
                self._deliver()
        except Exception as failure:  # a call must not wait for ever on a thread that has died
            error = ModelError(f"The in-box model failed: {failure}", kind="malformed")
        with self._changed:
            self._ended = error
            left = [*self._rows, *self._waiting]
        for job in left:
            self._posts[job.loop].append(partial(_fail, job, error))
        self._deliver()

    def _wait(self) -> bool:
        """Sleep until there is something to do; False when it's time to end."""
        with self._changed:
            while not (self._rows or self._waiting or self._stopping):
                self._changed.wait()
            return not self._stopping

    def _admit(self, engine: Engine) -> None:
        with self._changed:
            arrived = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_ROWS - len(self._rows)))]
        arrived = [job for job in arrived if not job.gone]
        if arrived:
            first = len(self._rows)
            self._rows += arrived
            self._take(arrived, engine.admit([job.prompt for job in arrived]))
            self._leave(engine, first)

    def _advance(self, engine: Engine) -> None:
        self._leave(engine)
        if self._rows:
            self._take(self._rows, engine.advance([job.tokens[-1] for job in self._rows]))
            self._leave(engine)

    def _leave(self, engine: Engine, first: int = 0) -> None:
        for row in range(len(self._rows) - 1, first - 1, -1):
            job = self._rows[row]
            if job.finish or job.gone:
                engine.drop(row)
                self._rows[row] = self._rows[-1]
                self._rows.pop()
                self._posts[job.loop].append(partial(_resolve, job))

    def _take(self, jobs: list[_Job], logits: Any) -> None:
        settings = [job.sampling for job in jobs]
        temperatures = np.array([1.0 if s.temperature is None else s.temperature for s in settings])
        top_ps = np.array([1.0 if s.top_p is None else s.top_p for s in settings])
        top_ks = np.array([max(s.top_k or 0, 0) for s in settings])
        uniforms = np.array([job.random.random() for job in jobs])
        silent = [(row, self._chat.call_start) for row, job in enumerate(jobs) if job.silent]
        tokens, logprobs = choose(logits, temperatures, top_ps, top_ks, uniforms, silent)
        for job, token, row in zip(jobs, tokens, logprobs, strict=True):
            job.tokens.append(token)
            job.logprobs.append(float(row[token]))
            if wanted := job.sampling.top_logprobs:
                tops = likeliest(row, wanted, token)
                job.tops.append(tuple((self._chat.pieces[i], float(row[i])) for i in tops))
            self._judge(job, token)

    def _judge(self, job: _Job, token: int) -> None:
        """See whether the job has ended, and stream its new token."""
        ended = token == self._chat.end
        full = len(job.tokens) >= job.limit
        if ended or full or job.sampling.stop:
            job.text = self._chat.decode(job.tokens)
            cut = [at for at in (job.text.find(stop) for stop in job.sampling.stop) if at >= 0]
            if cut:
                job.text = job.text[: min(cut)]
            job.finish = "stop" if ended or cut else "length" if full else ""
        if job.on_delta is not None:
            self._posts[job.loop].append(partial(_stream, self._chat, job, self._piece(job, token), len(job.tokens)))

    def _piece(self, job: _Job, token: int) -> Delta:
        """The text that this token adds to what is said; a tool call is not said."""
        if job.stream is None:
            from tokenizers.decoders import DecodeStream

            job.stream = DecodeStream(skip_special_tokens=True)
        job.calling = job.calling or (token == self._chat.call_start and not job.raw)
        text = job.stream.step(self._chat.tokenizer, token)
        said = "" if job.calling or text is None else text
        delta = Delta(said, ids=(token,), logprobs=(job.logprobs[-1],) if job.sampling.logprobs else None)
        if len(job.tokens) > 1:
            return delta
        return replace(delta, prompt_tokens=len(job.prompt), prompt_ids=tuple(job.prompt))

    def _deliver(self) -> None:
        for loop, posts in self._posts.items():
            try:
                loop.call_soon_threadsafe(_all, posts)
            except RuntimeError:  # the loop is closed: nobody waits any more
                for job in self._rows:
                    job.gone = job.gone or job.loop is loop
        self._posts = defaultdict(list)


def _all(posts: list[Callable[[], None]]) -> None:
    for post in posts:
        post()


def _stream(chat: Chat, job: _Job, delta: Delta, told: int) -> None:
    """Pass a piece on; `told` is how many tokens have been passed on with it."""
    if job.gone or job.done.done() or job.on_delta is None:
        return
    try:
        job.on_delta(delta)
    except Enough as enough:  # the worker may be some tokens ahead of the listener
        job.gone = True
        tokens = job.tokens[:told]
        heard = replace(job, tokens=tokens, logprobs=job.logprobs[:told], tops=job.tops[:told])
        heard.text, heard.finish = chat.decode(tokens), enough.reason
        job.done.set_result(heard)
    except Exception as error:
        _fail(job, error)


def _fail(job: _Job, error: Exception) -> None:
    job.gone = True
    if not job.done.done():
        job.done.set_exception(error)


def _resolve(job: _Job) -> None:
    if not job.gone and not job.done.done():
        job.done.set_result(job)
