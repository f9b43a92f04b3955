"""What an agent sees of its run: models, tools, budget, trace, events. Nothing reaches around it.

A `Context` is a view: all views of a run share its record; a fork adds a branch with its own budget node and its own
tool session, so that parallel samples can't see each other's variables.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from maieutic.budget import Account, Budget
from maieutic.context.state import Branch, Kept, Proposal, RunState, Utterance
from maieutic.events import Event, EventKind
from maieutic.llm.confidence import option_probabilities
from maieutic.llm.continuation import Thought, go_on, stopped_at, tokens_through
from maieutic.llm.gateway import Call, call_model
from maieutic.llm.model import TokenModel
from maieutic.llm.registry import Resolved
from maieutic.llm.sampling import derived_seed, merged
from maieutic.tasks.oracle import required
from maieutic.tasks.task import PublicTask
from maieutic.tools.tool import Tool
from maieutic.tools.use import Desk
from maieutic.trace.record import CallRecord, Parent, ParentType
from maieutic.types import Completion, Delta, Message, Outcome, Request, Sampling, ToolCall, ToolChoice, ToolResult

K = TypeVar("K")
_AT_ONCE, _WORKED = 20, 5
"""Alternatives of a token that are asked for: of the one that is the reply, and of each of many."""


@dataclass(frozen=True, slots=True)
class Context:
    """The run as seen from one node of its graph."""

    run: RunState
    branch: Branch
    node: str = ""

    @property
    def task(self) -> PublicTask:
        return self.run.task

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(self.run.tools.values())

    @property
    def account(self) -> Account:
        return self.branch.account

    def at(self, node: str) -> "Context":
        """The same context, speaking from another node."""
        return Context(self.run, self.branch, node)

    def fork(self, name: str, budget: Budget | None = None) -> "Fork":
        """A branch with its own budget node and tool session; the session is closed at the end of the block."""
        path = f"{self.branch.path}/{name}" if self.branch.path else name
        branch = Branch(path, self.account.child(budget), self.branch.session.fork())
        return Fork(Context(self.run, branch, self.node))

    def model_for(self, role: str) -> Resolved:
        """The model that plays `role`: its own where one is set, the run's otherwise."""
        return self.run.models.get(role) or self.run.models[""]

    async def sample(
        self,
        role: str,
        messages: tuple[Message, ...],
        *,
        tools: tuple[Tool, ...] = (),
        sampling: Sampling = Sampling(),
        parents: tuple[Parent, ...] = (),
        continue_final: bool = False,
        schema: dict[str, Any] | None = None,
        tool_choice: ToolChoice | None = None,
        most: int | None = None,
    ) -> Utterance:
        """Let `role` speak once. Recorded whatever happens; raises ModelError or BudgetExceeded when it fails.

        With `continue_final` it goes on with the last message. `schema` is a JSON schema that the reply must have.
        `most` bounds a piece of a longer turn, in tokens: the run's `max_tokens` can lower it, and not raise it.
        """
        specs = tuple(t.spec for t in tools)
        request = Request(messages, sampling, specs, continue_final, schema, None, tool_choice if specs else None)
        before = str(messages[-1]["content"] or "") if continue_final else ""
        return await self._say(role, request, parents, before, most=most)

    async def resume(
        self,
        role: str,
        said: Utterance,
        addition: str = "",
        *,
        keep_tokens: int | None = None,
        closing: str = "",
        sampling: Sampling = Sampling(),
        parents: tuple[Parent, ...] = (),
        link: ParentType = "continuation",
        most: int | None = None,
    ) -> Utterance:
        """Let `role` go on with what was said, in the middle of its turn: after `addition`, a text put in behind it.

        `keep_tokens` keeps so many of the tokens that `said` brought, and drops those after them. What had ended the
        turn (a stop string, the end-of-turn token) does not stay, but for the stop string `closing`, which stays as it
        was sampled, or is put in where what was said does not hold it. The prompt is the earlier token ids themselves
        where the same model goes on; another model reads the text in its own template and tokens; one whose tokens are
        not at hand gets an open message. A note in the trace says which. The reply is text: thoughts and tool calls
        stand in it as the model writes them. `most` is that of `sample`. `link` is how the
        call builds on what was said: with `reflection` no row for training takes that along.
        """
        thought, model = self._thought(said), self._tokens_of(role)
        asked = self.model_for(role).profile.sampling.fill(merged(self.run.sampling, sampling))
        opening = await go_on(thought, model, addition, keep_tokens, asked, closing)
        raw = opening.prompt_ids is not None
        turn: Message = {"role": "assistant", "content": opening.text}
        request = Request(
            (*thought.conversation, turn),
            sampling,
            () if raw else said.request.tools,
            continue_final=not raw,
            prompt_ids=opening.prompt_ids,
        )
        note = {"resumed": said.call_id, "how": opening.how, "kept": opening.kept, "addition": opening.addition}
        parents = (Parent(said.call_id, link), *parents)
        resumed = await self._say(role, request, parents, opening.text, note=note, most=most)
        tools = replace(resumed.request, tools=said.request.tools)  # what the prompt holds, for whoever goes on again
        return replace(resumed, request=tools)

    async def tokens_through(self, said: Utterance, mark: str) -> int | None:
        """How many tokens of what was said reach up to behind its last `mark` (a blank line, say): the `keep_tokens`
        with which `resume` drops the rest. None where there is no such place or the tokens are not at hand."""
        model, ids = self._tokens_of(said.role), said.completion.token_ids
        return None if model is None or ids is None else await tokens_through(model, ids, mark)

    async def ask_options(
        self,
        role: str,
        messages: tuple[Message, ...],
        options: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        parents: tuple[Parent, ...] = (),
        after_work: bool = False,
    ) -> dict[str, float] | None:
        """How probable the model finds each of several one-word answers, by the first token of its reply; `after_work`
        by the last one that is an option, of a reply as long as the run lets it be.

        They are the model's own probabilities, whatever the run's sampling settings, shared out among the options. None
        where no option is among the likeliest tokens there or the model doesn't give log-probabilities.
        """
        sampling = replace(sampling, logprobs=True, top_logprobs=_WORKED if after_work else _AT_ONCE)
        if not after_work:
            sampling = replace(sampling, temperature=1.0, max_tokens=1)
        said = await self._say(role, Request(messages, sampling), parents, exact=not after_work)
        found = option_probabilities(said.completion, options, last=after_work)
        self.record("note", call_id=said.call_id, options=found)
        return found

    async def stopped_at(self, said: Utterance) -> str | None:
        """The stop string that ended a reply; None where something else did, such as the model itself."""
        return await stopped_at(self._thought(said))

    def goes_on_exactly(self, role: str) -> bool:
        """Whether `resume` goes on token by token with this role's model; else it sends an open message."""
        return self._tokens_of(role) is not None

    def _thought(self, said: Utterance) -> Thought:
        return Thought(said.request, said.completion, said.before, self._tokens_of(said.role))

    def _tokens_of(self, role: str) -> TokenModel | None:
        """The role's model, where its tokens are at hand."""
        resolved = self.model_for(role)
        reachable = resolved.profile.kind not in ("openai-compatible", "litellm")
        return resolved.model if reachable and isinstance(resolved.model, TokenModel) else None

    async def _say(
        self,
        role: str,
        request: Request,
        parents: tuple[Parent, ...],
        before: str = "",
        *,
        note: Mapping[str, Any] | None = None,
        exact: bool = False,
        most: int | None = None,
    ) -> Utterance:
        """Make the call; `exact` leaves the request's sampling to itself, whatever the run asks for."""
        resolved = self.model_for(role)
        self.account.check()
        call_id = f"c{next(self.run.call_numbers)}"
        turn = next(self.run.turns[self.branch.path])
        own_seed = request.sampling.seed
        wanted = request.sampling if exact else merged(self.run.sampling, request.sampling)
        if most is not None:
            wanted = replace(wanted, max_tokens=min(most, wanted.max_tokens or most))
        defaults, seed = resolved.profile.sampling, None
        if own_seed is None:  # one seed for all calls would make samples side by side the same
            given = (s for s in (wanted.seed, defaults.seed) if s is not None)
            seed = derived_seed(next(given, self.run.seed), self.branch.path, turn)
        sampling = defaults.fill(wanted, seed)
        request = replace(request, sampling=sampling)
        if note is not None:
            self.record("note", call_id=call_id, **note)
        gold = self.run.oracle is not None and self.run.oracle.seen
        self.emit("call_started", role=role, call_id=call_id, model=resolved.model.name)
        heard = self._listener(role, call_id)
        past, model = self.run.past, resolved.model
        recorded = None if past is None else past.model(self.branch.path, turn, model.name, request)
        if recorded is not None:
            self.record("note", call_id=call_id, replayed=True)
        with self.run.approval.under_way():
            call = await call_model(recorded or model, request, self.account, heard, resolved.profile)
        self._record(call, call_id, role, turn, resolved, parents, gold)
        self._mark_cut(call, sampling)
        if call.completion is None:
            assert call.error is not None
            raise call.error
        return _utterance(call_id, role, call.request, call.completion, before)

    async def use(self, call: ToolCall, parent: str) -> ToolResult:
        """Run a tool call that the model call `parent` made; its mistakes come back as a result that the model can
        read. Where it needs an approval that can't be had now, the run is ended."""
        run, branch = self.run, self.branch
        desk = Desk(
            run.tools, branch.path, branch.session, branch.account, run.approval, run.past, run.trace, self.emit
        )
        return await desk.use(call, parent)

    async def verdict_of(self, answer: Proposal | str | None) -> Outcome:
        """How an answer to the run's task fares: the outcome alone. Raises UserError in a run without an oracle."""
        said = answer if isinstance(answer, Proposal) else Proposal(answer, "")
        outcome = await required(self.run.oracle).outcome(said.answer, said.text)
        self.record("verdict", scope="answer", by="oracle", of=said.call_id, outcome=outcome)
        return outcome

    @property
    def gold(self) -> Any:
        """The gold answer, for graphs that make data: every later call of the run is flagged as having it in context.
        Raises UserError in a run without an oracle."""
        return required(self.run.oracle).gold

    def propose(self, proposal: Proposal) -> None:
        """Make this the run's answer so far: what is returned if nothing better comes."""
        if proposal != self.run.best:
            self.run.best = proposal
            self.emit("answer", answer=proposal.answer, call_id=proposal.call_id)

    def mark_partial(self, reason: str) -> None:
        """Say that the run did less than it was asked to; the first reason stays."""
        if self.run.partial is None:
            self.run.partial = reason

    def keep(self, value: "Kept") -> str:
        """Keep what an agent produced for later nodes, and return its key: the graph's state holds keys, not texts."""
        key = f"{type(value).__name__.lower()}-{value.call_id}"
        self.run.kept[key] = value
        return key

    def recall(self, key: str, kind: type[K]) -> K:
        value = self.run.kept[key]
        assert isinstance(value, kind)
        return value

    def record(self, kind: str, /, **fields: Any) -> None:
        """Write a line of its own to the trace (vote, label, note, error)."""
        self.run.trace.write(kind, node=self.node, branch=self.branch.path, **fields)

    def gate(self, name: str, decision: str, **inputs: Any) -> None:
        """Say what a gate decided and by which figures, live and in the trace: some recipes learn from nothing else."""
        self.record("gate", gate=name, decision=decision, inputs=inputs)
        self.emit("gate", gate=name, decision=decision, inputs=inputs)

    def emit(self, kind: EventKind, role: str = "", **data: Any) -> None:
        if self.run.events.listening:
            self.run.events.emit(Event(kind, self.run.run_id, self.node, role, self.branch.path, data))

    def _listener(self, role: str, call_id: str) -> Callable[[Delta], None] | None:
        if not self.run.events.listening:
            return None
        return lambda d: self.emit("delta", role=role, call_id=call_id, text=d.text, reasoning=d.reasoning)

    def _mark_cut(self, call: Call, wanted: Sampling) -> None:
        """A reply that the budget cut short makes the run partial; its text is better than nothing to show."""
        if call.completion is None:
            if call.arrived and call.arrived.text and self.run.best is None:
                self.run.best = Proposal(None, call.arrived.text)
        elif call.completion.finish_reason == "length" and call.request.sampling.max_tokens != wanted.max_tokens:
            self.mark_partial("The token budget cut a reply short.")

    def _record(
        self,
        call: Call,
        call_id: str,
        role: str,
        turn: int,
        resolved: Resolved,
        parents: tuple[Parent, ...],
        gold: bool,
    ) -> None:
        arrived = call.completion or call.arrived
        self.run.trace.call(
            CallRecord(
                run_id=self.run.run_id,
                call_id=call_id,
                model=resolved.model.name,
                request=call.request,
                completion=arrived,
                t0=call.t0,
                t1=call.t1,
                parents=parents,
                node=self.node,
                role=role,
                branch=self.branch.path,
                turn=turn,
                gold_in_context=gold,
                error=str(call.error) or type(call.error).__name__ if call.error else None,
                cancelled=isinstance(call.error, asyncio.CancelledError),
            )
        )
        self.emit(
            "call_finished",
            role=role,
            call_id=call_id,
            text=arrived.text if arrived else "",
            error=str(call.error) if call.error else None,
            tokens=arrived.usage.completion_tokens if arrived else None,
            seconds=call.t1 - call.t0,
        )


@dataclass(frozen=True, slots=True)
class Fork:
    """`async with ctx.fork("sample-1") as branch`: the branch's context."""

    context: Context

    async def __aenter__(self) -> Context:
        return self.context

    async def __aexit__(self, *_: object) -> None:
        await self.context.branch.session.close()


def _utterance(call_id: str, role: str, request: Request, completion: Completion, before: str) -> Utterance:
    if not request.goes_on:
        return Utterance(call_id, completion, (*request.messages, completion.message()), role, request)
    whole = completion.message()
    whole["content"] = before + completion.text
    return Utterance(call_id, completion, (*request.messages[:-1], whole), role, request, before)
