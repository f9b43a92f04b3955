"""Several servers of the same model behind one name: what one of them can't do, another does.

A request goes where its prefix is cached, unless that server is too busy (`maieutic.llm.server.routing`). A server that
fails is left out until it answers again (`maieutic.llm.server.member`), and its calls go to the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from maieutic.errors import ModelError
from maieutic.llm.model import OnDelta
from maieutic.llm.profile import Profile
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.exchange import timed_out
from maieutic.llm.server.member import Member, ServedModel, reason
from maieutic.llm.server.net import Slots, wait_before
from maieutic.llm.server.refusals import OVERLOADED, RETRIED, root_url, shown
from maieutic.llm.server.routing import digest, pick, prefix_of
from maieutic.types import Completion, Delta, Request

BUSY = (OVERLOADED | RETRIED) - {
    502,
    504,
}  # statuses of a server that lives; a gateway's mean that nothing is behind it

T = TypeVar("T")


class Fleet:
    """A model behind several servers, a `TokenModel` like that of a single one.

    A call that fails before anything of its answer was passed on goes to another server: one that is dead, that broke
    off, that answers with 5xx or is overloaded; other refusals (4xx) are raised. When every server has failed it, the
    call waits and tries again, as often as the profile's `retries` say. `concurrency` and `timeouts.total` bound calls
    to the fleet as a whole. `Completion.extra["server"]` names the server that answered.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        servers: Sequence[tuple[str, ServedModel]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.members = tuple(Member(url, model) for url, model in servers)
        self._profile = profile
        self._sleep = sleep
        self._slots = Slots(profile.concurrency)
        self._checked = False
        self._check: asyncio.Task[ModelError | None] | None = None

    @classmethod
    def of(cls, name: str, profile: Profile, urls: Iterable[str], api_key: str | None = None) -> "Fleet":
        """The fleet of these addresses; one that is given twice counts once."""
        times = profile.timeouts.model_copy(update={"total": None})
        alone = profile.model_copy(update={"retries": 0, "concurrency": None, "timeouts": times})
        servers = {shown(root_url(url)): OpenAICompatibleModel(name, alone, url, api_key) for url in urls}
        return cls(name, profile, tuple(servers.items()))

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Ask the server that suits the request; streams only where `on_delta` is given. Raises ModelError."""
        ear = None if on_delta is None else _Ear(on_delta)
        member, completion = await self._ask(prefix_of(request), lambda model: model.sample(request, ear), ear)
        completion.extra["server"] = member.url
        return completion

    async def render(self, request: Request) -> tuple[int, ...]:
        """The token ids that the chat template makes of the request's messages and tools. Raises ModelError."""
        return (await self._ask(prefix_of(request), lambda model: model.render(request)))[1]

    async def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a piece of text, no special tokens added. Raises ModelError."""
        return (await self._ask(digest([text.encode(errors="replace")]), lambda model: model.encode(text)))[1]

    async def decode(self, token_ids: tuple[int, ...]) -> str:
        """The text of token ids, special tokens included. Raises ModelError."""
        return (await self._ask(hash(token_ids), lambda model: model.decode(token_ids)))[1]

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(member.close() for member in self.members))

    @property
    def overloads(self) -> int:
        """How often one of them refused because it was overloaded."""
        return sum(getattr(member.model, "overloads", 0) for member in self.members)

    async def waiting(self) -> int | None:
        """How many requests wait in the queues of those that say so; None where none does."""
        asked = [m.model for m in self.members if not m.out and isinstance(m.model, OpenAICompatibleModel)]
        known = [n for n in await asyncio.gather(*(model.waiting() for model in asked)) if n is not None]
        return sum(known) if known else None

    async def _ask(
        self, prefix: int, ask: Callable[[ServedModel], Awaitable[T]], ear: "_Ear | None" = None
    ) -> tuple[Member, T]:
        total = self._profile.timeouts.total
        deadline = asyncio.timeout(total)
        try:
            async with self._slots.one(), deadline:
                return await self._try(prefix, ask, ear)
        except TimeoutError as error:
            if total is None or not deadline.expired():
                raise
            raise timed_out(self._listed(), "total", total) from error

    async def _try(
        self, prefix: int, ask: Callable[[ServedModel], Awaitable[T]], ear: "_Ear | None"
    ) -> tuple[Member, T]:
        if not self._checked:
            await self._compare()
        trial = _Trial()
        while True:
            member = self._choose(prefix, trial)
            if member is None:
                await self._wait(trial)
                continue
            outages = member.outages
            member.running += 1
            try:
                found = await ask(member.model)
            except ModelError as error:
                if not await self._passes_on(member, error, outages, ear is not None and ear.heard):
                    raise
                trial.note(member, error)
                if trial.faults >= max(len(self.members), self._profile.retries + 1):
                    raise self._all_failed(trial) from error
            else:
                member.answered(outages)
                return member, found
            finally:
                member.running -= 1

    def _choose(self, prefix: int, trial: "_Trial") -> Member | None:
        """The best server that this call has not tried since it last waited; None where there is none worth a try."""
        for member in self.members:
            if member.out:
                member.look()
        fit = [m for m in self.members if not m.out]
        if not fit:  # the call itself finds out whether one of them is back
            untried = [m for m in self.members if m not in trial.tried]
        else:
            untried = [m for m in fit if m not in trial.tried and (trial.waits or not m.resting())]
        return pick(prefix, untried) if untried else None

    async def _passes_on(self, member: Member, error: ModelError, outages: int, heard: bool) -> bool:
        """Note what a failure says of its server; True where another server is to be asked."""
        if error.status in BUSY:
            member.rest(error.wait)
        elif error.kind in ("unreachable", "cut") or (error.status or 0) >= 500:
            member.failed(error, outages)
        elif error.kind == "timeout":
            probe = member.probe()  # is it slow or gone?
            return not heard and not await asyncio.shield(probe)
        else:
            return False
        return not heard

    async def _wait(self, trial: "_Trial") -> None:
        """Wait before this call tries the servers again. Raises ModelError where that has no point any more."""
        nobody = not any(member.reached for member in self.members)  # more likely wrong addresses than restarts
        if nobody or trial.waits >= self._profile.retries:
            raise self._all_failed(trial)
        trial.waits += 1
        trial.tried.clear()
        rests = [rest for member in self.members if not member.out and (rest := member.resting())]
        await self._sleep(wait_before(trial.waits, min(rests, default=None)))

    async def _compare(self) -> None:
        """Before the first call: all servers that can be reached serve the same model. Raises ModelError."""
        loop = asyncio.get_running_loop()
        if self._check is None or self._check.done() or self._check.get_loop() is not loop:
            self._check = loop.create_task(self._ask_what_is_served())
        if (error := await asyncio.shield(self._check)) is not None:
            raise error

    async def _ask_what_is_served(self) -> ModelError | None:
        await asyncio.gather(*(member.probe() for member in self.members))
        listing = [m for m in self.members if not m.out and m.names is not None]
        wanted = self._profile.model
        if not wanted and listing:
            shared = [set(m.names or ()) for m in listing]
            if len(shared[0]) != 1 or any(names != shared[0] for names in shared):
                listed = "; ".join(f"{m.url} serves {_names(m)}" for m in listing)
                return ModelError(f"It is not clear which model is meant: {listed}. Name one that all of them serve.")
            (wanted,) = shared[0]
        if wrong := [m for m in listing if wanted not in (m.names or ())]:
            listed = "; ".join(f"{m.url} serves {_names(m)}" for m in wrong)
            text = f"Not every server of {self.name} has the model {wanted!r}: {listed}. Leave out those that don't."
            return ModelError(text, status=404)
        if any(member.reached for member in self.members):
            self._checked = True
            for member in self.members:
                member.expected = wanted
        return None

    def _all_failed(self, trial: "_Trial") -> ModelError:
        """One sentence that names all servers and what became of this call there."""
        each = [f"{m.url} ({reason(e) if (e := trial.errors.get(m)) else 'it is overloaded'})" for m in self.members]
        last = next(reversed(trial.errors.values()), None)
        kinds = {error.kind for error in trial.errors.values()} or {"overloaded"}
        text = f"No server of {self.name} gives an answer: {', '.join(each)}"
        if kinds == {"unreachable"}:
            text += "; start one (vllm serve NAME --port 8000) or give another --model."
        else:
            text += f". The last one: {last}" if last is not None else "; try again later or lower the concurrency."
        kind = kinds.pop() if len(kinds) == 1 else "unreachable"
        return ModelError(text, kind=kind, retryable=True, status=last.status if last else None)

    def _listed(self) -> str:
        return ", ".join(member.url for member in self.members)


class _Trial:
    """One call's way through the servers: which it has tried since it last waited, and how it fared at each."""

    def __init__(self) -> None:
        self.tried: set[Member] = set()
        self.errors: dict[Member, ModelError] = {}
        self.faults = 0  # answers that may be the request's own fault: it must not be tried without end
        self.waits = 0

    def note(self, member: Member, error: ModelError) -> None:
        self.tried.add(member)
        self.errors.pop(member, None)
        self.errors[member] = error
        self.faults += error.kind != "unreachable" and error.status not in BUSY


class _Ear:
    """Passes a stream's pieces on, and knows whether there were any."""

    def __init__(self, on_delta: OnDelta) -> None:
        self.heard = False
        self._on_delta = on_delta

    def __call__(self, delta: Delta) -> None:
        self.heard = True
        self._on_delta(delta)


def _names(member: Member) -> str:
    return ", ".join(member.names or ()) or "nothing"
