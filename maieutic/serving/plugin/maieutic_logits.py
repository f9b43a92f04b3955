"""Reflection tokens made likelier or less likely while a model thinks: a logits processor for vLLM.

    PYTHONPATH=…/maieutic/serving/plugin vllm serve MODEL --logits-processors maieutic_logits:ReflectionPenalty

vLLM's own Python imports this file, which may not have Maieutic installed. A request that doesn't ask for it costs
nothing and is answered as without it; what a request can ask for is told in `maieutic_schedule`.

vLLM has two model runners, with an interface each: the first one hands over changes of the batch and lists of output
tokens on the host, the second one a table of token ids on the device. One class serves both.
"""

from typing import Any

import torch
from maieutic_schedule import Progress, Setting, read
from vllm.logger import init_logger
from vllm.v1.sample.logits_processor import LogitsProcessor as FirstInterface
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SecondInterface

END = "</think>"
logger = init_logger(f"vllm.{__name__}")


class ReflectionPenalty(FirstInterface, SecondInterface):  # type: ignore[misc]  # vLLM has no place in the checks
    """The processor; see the module."""

    def __init__(self, vllm_config: Any, place: Any, is_pin_memory: bool | None = None) -> None:
        self._size: int = vllm_config.model_config.get_vocab_size()
        self._end = _end_of_thinking(vllm_config)
        self._batch: _Rows | _Slots
        if is_pin_memory is None:
            self._batch = _Slots(place, _draft_tokens(vllm_config))
        else:
            self._batch = _Rows(place)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError where a request's arguments are wrong: it is then answered with 400."""
        read(sampling_params.extra_args)

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        assert isinstance(self._batch, _Rows)
        self._batch.changed |= process_dict_updates(self._batch.rows, batch_update, self._begin)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        assert isinstance(self._batch, _Slots)
        return self._batch.put(req_idx, self._wanted(sampling_params))

    def apply(self, logits: torch.Tensor, ctx: Any = None) -> torch.Tensor:
        return self._batch.apply(logits, ctx)

    def _begin(self, params: Any, _: Any, output: list[int]) -> Progress | None:
        setting = self._wanted(params)
        return setting and Progress(setting, output, setting.end or ())

    def _wanted(self, params: Any) -> Setting | None:
        """The request's setting, its end filled in, without ids that the vocabulary doesn't have."""
        setting = read(params.extra_args)
        if setting is None:
            return None
        known = tuple(dict.fromkeys(i for i in setting.tokens if i < self._size))
        if len(known) < len(set(setting.tokens)):
            logger.warning("Some reflection_tokens are not in the vocabulary of %d tokens: left out.", self._size)
        end = self._end if setting.end is None else setting.end
        return Setting(**{**vars(setting), "tokens": known, "end": end}) if known else None


class _Rows:
    """The batch of the first model runner: which of its rows have it switched on, and how far they are."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rows: dict[int, Progress] = {}
        self.changed = False
        self._index: tuple[torch.Tensor, torch.Tensor] | None = None
        self._lengths: torch.Tensor | None = None

    def apply(self, logits: torch.Tensor, _: Any) -> torch.Tensor:
        if not self.rows:
            return logits
        deltas: list[float] = []
        for row, progress in list(self.rows.items()):
            delta = progress.delta()
            if delta is None:
                del self.rows[row]
                self.changed = True
            else:
                deltas.append(delta)
        if self.changed:
            self._lay_out()
        if any(deltas):
            assert self._index is not None and self._lengths is not None
            values = torch.tensor(deltas, dtype=logits.dtype).repeat_interleave(self._lengths)
            logits.index_put_(self._index, values.to(self.device, non_blocking=True), accumulate=True)
        return logits

    def _lay_out(self) -> None:
        """Where the values go, laid out anew when the batch has changed."""
        tokens = [p.setting.tokens for p in self.rows.values()]
        rows = [row for row, ids in zip(self.rows, tokens, strict=True) for _ in ids]
        columns = [i for ids in tokens for i in ids]
        self._index = (torch.tensor(rows, device=self.device), torch.tensor(columns, device=self.device))
        self._lengths = torch.tensor([len(ids) for ids in tokens])
        self.changed = False


class _Slots:
    """The batch of the second model runner: what each slot asked for, and on the device how far it is.

    The newest tokens of every slot are looked at in each step, all of a slot's output in its first one: a request that
    was set aside comes back into a slot with its output so far.
    """

    def __init__(self, state: Any, drafts: int) -> None:
        self._state = state
        self._device = state.device
        self._drafts = drafts
        self._settings: dict[int, Setting] = {}
        self._fresh: set[int] = set()
        self._changed = False
        self._tables: dict[str, torch.Tensor] = {}
        self._ended = torch.zeros(state.max_num_reqs, dtype=torch.bool, device=self._device)
        self._thought = torch.zeros(state.max_num_reqs, dtype=torch.long, device=self._device)

    def put(self, slot: int, setting: Setting | None) -> bool:
        """Begin with a request in this slot; whether it has it switched on."""
        before = self._settings.pop(slot, None)
        self._changed |= setting is not None or before is not None
        self._fresh.discard(slot)
        if setting is not None:
            self._settings[slot] = setting
            self._fresh.add(slot)
        return setting is not None

    def apply(self, logits: torch.Tensor, ctx: Any) -> torch.Tensor:
        batch = {int(s): int(n) for s, n in zip(ctx.idx_mapping_np, ctx.seq_lens_upper_bound_np, strict=False)}
        here = [slot for slot in batch if slot in self._settings]
        if not here:
            return logits
        if self._changed:
            self._lay_out()
        for slot in self._fresh.intersection(here):
            self._ended[slot], self._thought[slot] = False, 0
            self._look([slot], max(1, batch[slot] - int(self._state.prompt_len.np[slot])))
            self._fresh.discard(slot)
        self._look(here, 1 + self._drafts)
        slots = ctx.expanded_idx_mapping.long()
        tables = {name: table[slots] for name, table in self._tables.items()}
        position = ctx.pos + 1 - self._state.prompt_len.gpu[slots] + tables["start"]
        delta = _deltas(tables, position, self._thought[slots] + tables["start"])
        off = self._ended[slots] | (position >= tables["until"])
        values = torch.where(off[:, None] | (tables["tokens"] < 0), 0.0, delta[:, None]).to(logits.dtype)
        return logits.scatter_add_(1, tables["tokens"].clamp(min=0), values)

    def _look(self, slots: list[int], newest: int) -> None:
        """Among the newest output tokens of these slots: does one end the thinking or begin another thought?"""
        for end in {self._settings[slot].end or () for slot in slots}:
            group = [slot for slot in slots if (self._settings[slot].end or ()) == end]
            index, at, ids = self._newest(group, newest + max(len(end) - 1, 0))
            if end:
                hit = torch.ones_like(ids[:, len(end) - 1 :], dtype=torch.bool)
                for i, token in enumerate(end):
                    hit &= ids[:, i : ids.shape[1] - len(end) + 1 + i] == token
                self._ended[index] |= hit.any(1)
            switches = (ids[:, :, None] == self._tables["tokens"][index][:, None, :]).any(2) & (ids >= 0)
            begun = torch.where(switches, at, -1).amax(1)
            self._thought[index] = torch.maximum(self._thought[index], begun)

    def _newest(self, slots: list[int], count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The slots as a tensor, and of their newest output tokens the positions and ids, -1 where there is none."""
        index = torch.tensor(slots, device=self._device)
        prompt = self._state.prompt_len.gpu[index].long()[:, None]
        columns = self._state.total_len.gpu[index].long()[:, None] + torch.arange(-count, 0, device=self._device)
        ids = self._state.all_token_ids.gpu[index[:, None], columns.clamp(min=0)].long()
        return index, columns - prompt, torch.where(columns >= prompt, ids, -1)

    def _lay_out(self) -> None:
        """The settings as tables with a line for each slot; slots that didn't ask have no tokens."""
        count, width = self._state.max_num_reqs, max([1, *(len(s.tokens) for s in self._settings.values())])
        tokens = torch.full((count, width), -1)
        columns = {name: torch.zeros(count) for name in ("amplitude", "shift", "penalty", "window")}
        columns["period"] = torch.ones(count)
        start, until = torch.zeros(count, dtype=torch.long), torch.full((count,), torch.iinfo(torch.long).max)
        for slot, setting in self._settings.items():
            tokens[slot, : len(setting.tokens)] = torch.tensor(setting.tokens)
            for name, column in columns.items():
                column[slot] = getattr(setting, name)
            start[slot] = setting.start
            if setting.until is not None:
                until[slot] = setting.until
        tables = {"tokens": tokens, "start": start, "until": until, **columns}
        self._tables = {name: table.to(self._device) for name, table in tables.items()}
        self._changed = False


def _deltas(tables: dict[str, torch.Tensor], position: torch.Tensor, thought: torch.Tensor) -> torch.Tensor:
    """`Setting.delta`, for all rows at once; the amplitude of the one mode is 0 in the other."""
    phase = ((position + tables["shift"]) / tables["period"] - 0.25) % 1.0
    triangle = tables["amplitude"] * ((4.0 * phase - 2.0).abs() - 1.0)
    inside = (tables["window"] == 0) | (position < thought + tables["window"])
    return triangle - torch.where(inside, tables["penalty"], 0.0)


def _end_of_thinking(vllm_config: Any) -> tuple[int, ...]:
    """The id of `</think>` in the server's tokenizer; empty where that is not one token."""
    from vllm.tokenizers import cached_tokenizer_from_config

    if vllm_config.model_config.skip_tokenizer_init:
        return ()
    found = cached_tokenizer_from_config(vllm_config.model_config).get_vocab().get(END)
    return () if found is None else (found,)


def _draft_tokens(vllm_config: Any) -> int:
    speculative = getattr(vllm_config, "speculative_config", None)
    return 0 if speculative is None else speculative.num_speculative_tokens or 0
