"""Everything that many runs share, and how one run is executed within it."""

import asyncio
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from maieutic.budget import Account, Budget
from maieutic.context import Branch, Context, Prompts, Proposal, RunState
from maieutic.errors import BudgetExceeded, MaieuticError, UserError
from maieutic.events import EventStream
from maieutic.graphs.graph import Graph
from maieutic.llm.registry import Resolved
from maieutic.runner.replay import Recording
from maieutic.runner.result import Result
from maieutic.runner.running import Control, Running
from maieutic.tasks.oracle import Oracle
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.tools.approval import Approval, Approver
from maieutic.tools.artifacts import Artifacts
from maieutic.tools.inputs import Inputs, database_in, files_of
from maieutic.tools.tool import Session, Tool
from maieutic.trace.record import RunHeader
from maieutic.trace.writer import RunTrace, TraceStore
from maieutic.types import Message, Outcome, Sampling, Verdict


@dataclass(frozen=True)
class Runner:
    """Everything that many runs share. `models` maps roles to models; "" is the model of all other roles.

    `approve` names the tools whose calls `approver` is asked about; `asked` goes into every run's header.
    With `oracle` graphs may ask how an answer fares and for the gold answer; every run's header says so.
    """

    graph: Graph
    models: Mapping[str, Resolved]
    store: TraceStore
    tools: Mapping[str, Tool] = field(default_factory=dict)
    sampling: Sampling = Sampling()
    budget: Budget | None = None
    prompt_folders: tuple[Path, ...] = ()
    prompts: Prompts = field(default_factory=dict)
    approve: frozenset[str] = frozenset()
    approver: Approver | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    oracle: bool = False
    _under_way: "set[asyncio.Task[Result]]" = field(default_factory=set, init=False, repr=False, compare=False)

    def start(
        self,
        task: Task,
        *,
        seed: int | None = None,
        sample: int = 0,
        attempt: int = 0,
        history: tuple[Message, ...] = (),
        past: Recording | None = None,
        group: Mapping[str, Any] | None = None,
    ) -> Running:
        """Start a run in the background of the running event loop. What `past` holds is not done again. `group` says in
        its header how attempts at this task are chosen, where that depends on their answers. Raises TaskError for
        inputs that can't be used."""
        run_id = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(6)
        seed = secrets.randbits(31) if seed is None else seed
        more = {"history": history, "group": group}
        asked = {**self.asked, **{name: value for name, value in more.items() if value}}
        header = RunHeader(
            run_id=run_id,
            task_key=task.id,
            sample=sample,
            attempt=attempt,
            seed=seed,
            task=dict(task.public()),
            parent=past.run_id if past else None,
            group_id=f"{task.id}/{self.graph.name}/{self._policy}",
            asked=asked,
            **self._shared,
        )
        inputs = Inputs(files_of(task.inputs), database_in(task.inputs))
        session = Session(Artifacts(self.store.root / "artifacts" / run_id), inputs)
        events, control = EventStream(), Control()
        work = asyncio.create_task(self._execute(task, header, session, events, control, history, past))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        work.add_done_callback(lambda _: events.close())
        return Running(run_id, events, work, control)

    async def close(self) -> None:
        """Cancel the runs that are still under way, and wait until they are recorded as cancelled."""
        runs = list(self._under_way)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    async def run(self, task: Task, *, seed: int | None = None, sample: int = 0, attempt: int = 0) -> Result:
        return await self.start(task, seed=seed, sample=sample, attempt=attempt).result()

    @cached_property
    def _shared(self) -> dict[str, Any]:
        """What the headers of all runs have in common."""
        names = dict.fromkeys([self.models[""].model.name, *(m.model.name for m in self.models.values())])
        return {
            "graph": self.graph.name,
            "settings": self.graph.settings.model_dump(mode="json"),
            "models": tuple(names),
            "versions": {"python": sys.version.split()[0]},
            "tools": tuple(self.tools),
            "budget": asdict(self.budget) if self.budget else {},
            "oracle": self.oracle,
        }

    @cached_property
    def _policy(self) -> str:
        """The models by name, those of single roles with the role: two that differ here are no one policy."""
        main = self.models[""].model.name
        others = ((role, one.model.name) for role, one in sorted(self.models.items()) if role)
        return ",".join([main, *(f"{role}={name}" for role, name in others if name != main)])

    async def _execute(
        self,
        task: Task,
        header: RunHeader,
        session: Session,
        events: EventStream,
        control: Control,
        history: tuple[Message, ...],
        past: Recording | None,
    ) -> Result:
        trace = self.store.open_run(header)
        started = time.monotonic()
        account = Account(self.budget)
        state = RunState(
            run_id=header.run_id,
            task=task.public(),
            models=self.models,
            tools=self.tools,
            trace=trace,
            events=events,
            seed=header.seed or 0,
            sampling=self.sampling,
            prompt_folders=self.prompt_folders,
            prompts=self.prompts,
            history=history,
            approval=Approval(self.approve, self.approver, control.stop),
            past=past,
            oracle=Oracle(task) if self.oracle else None,
        )
        ctx = Context(state, Branch("", account, session))
        ctx.emit("run_started", graph=self.graph.name, model=header.models[0], question=task.question)
        try:
            await self._work(ctx, control)
            result = self._conclude(task, ctx, started, await _judge(task, state.best))
        except asyncio.CancelledError:
            ctx.mark_partial("cancelled")
            self._conclude(task, ctx, started, None)
            raise
        except Exception as error:  # an own graph or tool may raise anything; the trace says so, and the caller gets it
            trace.write("error", error=f"{type(error).__name__}: {error}")
            ctx.mark_partial(str(error))
            self._conclude(task, ctx, started, None)
            raise
        else:
            ctx.emit("run_finished", result=result)
        finally:
            await session.close()
            if session.inputs.copied:
                await asyncio.to_thread(session.inputs.close)
        await trace.commit()
        return result

    async def _work(self, ctx: Context, control: Control) -> None:
        """Run the graph under the time budget. Ends quietly, with a reason for being partial, where it is cut short."""
        work = control.work = asyncio.create_task(self.graph(ctx))
        if control.reason:
            work.cancel()
        try:
            done, _ = await asyncio.wait({work}, timeout=ctx.account.seconds_left())
            if not done:
                ctx.account.check()
                ctx.mark_partial("The time budget is used up.")
            else:
                await work
        except BudgetExceeded as error:
            ctx.mark_partial(str(error))
        except asyncio.CancelledError:
            if control.reason is None:
                raise
            ctx.mark_partial(control.reason)
        except MaieuticError as error:
            if ctx.run.best is None or isinstance(error, UserError):
                raise
            ctx.mark_partial(str(error))
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def _conclude(self, task: Task, ctx: Context, started: float, verdict: Verdict | None) -> Result:
        best = ctx.run.best or Proposal(None, "")
        result = Result(
            answer=best.answer,
            text=best.text,
            outcome=verdict.outcome if verdict else None,
            partial=ctx.run.partial is not None,
            reason=ctx.run.partial or "",
            usage=replace(ctx.account.usage, seconds=time.monotonic() - started),
            run_id=ctx.run.run_id,
            trace=self.store.root,
            graph=self.graph.name,
            task_id=task.id,
            verdict=verdict,
            waiting=tuple(ctx.run.approval.waiting),
            oracle=self.oracle,
        )
        _record_end(ctx.run.trace, result, best)
        return result


async def _judge(task: Task, best: Proposal | None) -> Verdict | None:
    """The task's own verdict, off the event loop: an environment's scorer may take its time."""
    if not task.checkable:
        return None
    if best is None:
        return Verdict(Outcome.TIMEOUT, None, reason="the run ended before there was an answer")
    return await asyncio.to_thread(verify, task, best.text, best.answer)


def _record_end(trace: RunTrace, result: Result, best: Proposal) -> None:
    verdict = result.verdict
    if verdict is not None:
        trace.write("reward", scope="run", name="correct", value=verdict.score, verifier=verdict.verifier)
    trace.finish(
        answer=result.answer,
        answer_call=best.call_id,
        outcome=result.outcome,
        score=verdict.score if verdict else None,
        partial=result.partial,
        reason=result.reason,
        usage=result.usage,
    )
