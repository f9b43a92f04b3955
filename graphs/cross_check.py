"""An answer with citations, checked: each leads to a page that was read; claims are held against the other pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.citations import Cited, claims, resolve
from maieutic.agents.context_policy import without_memory
from maieutic.agents.reader import Reading
from maieutic.agents.speech import Solution
from maieutic.agents.validator import Support, Validator
from maieutic.context import Context, Proposal, Utterance
from maieutic.errors import ModelError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.reading import Source, sources
from maieutic.tasks.abstention import abstains
from maieutic.tasks.answers import extract, without_thoughts
from maieutic.trace.record import Parent

MOST = 12  # claims of one answer that are checked


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence, the numbers of the pages that it cites, and those of other pages that support or contradict it."""

    text: str
    cites: tuple[int, ...]
    supports: tuple[int, ...] = ()
    contradicts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the claims. `missing` counts judgements that could not be read; `pages` is how many were asked."""

    claims: tuple[Claim, ...] = ()
    pages: int = 0
    missing: int = 0

    @property
    def contradicted(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.claims if claim.contradicts)

    @property
    def confirmed(self) -> bool:
        """Whether a second source states every claim, and none the contrary."""
        return bool(self.claims) and all(
            not claim.contradicts and len({*claim.cites, *claim.supports}) > 1 for claim in self.claims
        )

    def question(self) -> str:
        """What the researcher is asked where pages contradict claims."""
        lines = [f"- {claim.text} (contradicted by {_marks(claim.contradicts)})" for claim in self.contradicted]
        return (
            "Other pages that were read contradict what you say:\n"
            + "\n".join(lines)
            + "\nFind out which is right, by a further search where that helps, and answer again; where it can't be "
            "told, say so."
        )

    def remarks(self) -> list[str]:
        """What a reader of the answer should know."""
        return [f"Page {_marks(claim.contradicts)} contradicts: {claim.text}" for claim in self.contradicted]


@dataclass(frozen=True, slots=True)
class Written:
    """A researcher's final reply, its citations resolved, and the pages that were read."""

    solution: Solution
    cited: Cited
    sources: tuple[Source, ...]

    @property
    def proposal(self) -> Proposal:
        return self.solution.proposal

    def tell(self, ctx: Context) -> None:
        """Say which citations led nowhere."""
        found = {"citations": list(self.cited.numbers), "dropped": list(self.cited.dropped)}
        ctx.record("note", call_id=self.solution.call_id, **found)
        if self.cited.dropped:
            ctx.emit("note", text=f"Citations of nothing that was read were taken out: {', '.join(self.cited.dropped)}")

    def with_sources(self, report: Report) -> Proposal:
        """The answer with a list of what it cites, and with what speaks against it."""
        cited = [one for one in self.sources if one.number in self.cited.numbers]
        lines = [f"[{one.number}] {one.title}, {one.address}" for one in cited]
        parts = [self.solution.text, *report.remarks(), "\n".join(["Sources:", *lines]) if lines else ""]
        text = "\n\n".join(part for part in parts if part)
        return Proposal(self.solution.answer, text, self.solution.call_id)


def written(ctx: Context, said: Utterance, readings: Sequence[Reading]) -> Written:
    """The answer that a reply gives, without its memory and with citations of pages that were read alone."""
    pages = sources(readings)
    text = without_memory(without_thoughts(said.text)).strip()
    cited = resolve(text, [page.address for page in pages])
    answer = extract(cited.text, ctx.task["answer_type"])
    return Written(Solution(cited.text, answer, said.call_id), cited, tuple(pages))


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Holds each claim against every page that was read and is not cited for it."""

    validator: Validator
    wanted: bool = True

    async def __call__(self, ctx: Context, answer: Written) -> Report:
        stated = _claims(answer)
        others = {
            page.number: [i for i, claim in enumerate(stated) if page.number not in claim.cites]
            for page in answer.sources
            if page.facts
        }
        asked = {number: places for number, places in others.items() if places} if self.wanted else {}
        report = await self._compare(ctx, answer, stated, asked) if asked else Report(tuple(stated))
        decision = _decision(report, self.wanted)
        figures = [
            {"cites": claim.cites, "supports": claim.supports, "contradicts": claim.contradicts}
            for claim in report.claims
        ]
        of = answer.solution.call_id
        ctx.gate("cross_check", decision, of=of, pages=report.pages, missing=report.missing, claims=figures)
        return report

    async def _compare(self, ctx: Context, answer: Written, stated: list[Claim], asked: dict[int, list[int]]) -> Report:
        names = {f"check-{answer.solution.call_id}-{number}": number for number in asked}
        evidence = {page.number: "\n".join(page.facts) for page in answer.sources}
        found: dict[tuple[int, int], Support | None] = {}

        async def work(branch: Context) -> None:
            number = names[branch.branch.path.rsplit("/", 1)[-1]]
            texts = [stated[i].text for i in asked[number]]
            parents = (Parent(answer.solution.call_id, "judge"),)
            validation = await self.validator(branch, texts, evidence[number], parents=parents)
            found.update({(i, number): word for i, word in zip(asked[number], validation.judgements, strict=True)})

        try:
            await fan_out(ctx, list(names), work)
        except ModelError:
            pass  # each failure is recorded, and the judgements are missing
        wanted = [(i, number) for number, places in asked.items() for i in places]
        checked = tuple(
            Claim(claim.text, claim.cites, _who(found, i, "supported"), _who(found, i, "contradicted"))
            for i, claim in enumerate(stated)
        )
        return Report(checked, len(asked), sum(found.get(key) is None for key in wanted))


def _claims(answer: Written) -> list[Claim]:
    """The sentences that cite something; where none does, the answer itself. An answer that it isn't known claims
    nothing."""
    if abstains(answer.solution.answer):
        return []
    stated = [Claim(text, cites) for text, cites in claims(answer.cited.text)][:MOST]
    if not stated and answer.solution.answer is not None:
        return [Claim(f"The answer is {answer.solution.answer}", answer.cited.numbers)]
    return stated


def _decision(report: Report, wanted: bool) -> str:
    if not wanted:
        return "off"
    if report.contradicted:
        return "contradicted"
    if report.confirmed:
        return "confirmed"
    return "unconfirmed" if report.pages else "no_second_source"


def _who(found: dict[tuple[int, int], Support | None], i: int, word: Support) -> tuple[int, ...]:
    return tuple(sorted(number for (place, number), said in found.items() if place == i and said == word))


def _marks(numbers: Sequence[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"
