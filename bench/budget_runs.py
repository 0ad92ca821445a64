"""One simulated run of ``budget.py``: its conversations, attempts that die, and what the till and the ledger say at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import openai
from pydantic import BaseModel, ConfigDict
from temporalio.exceptions import ApplicationError

from agents.loop import AgentAnswer, AgentRunner
from agents.roles import company_research
from bench.budget_model import Fault, MeteredModel, Till
from domain.request.criteria import Criteria
from domain.request.run_request import Limits, RunRequest, Windows, workflow_id_of
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from settings import Settings
from store.database import Connection, Database
from store.runs import runs
from web.gateway import ToolGateway

_ATTEMPTS_MAX = 60
_RAISES_MAX = 12
_ROUNDING_USD = 1e-9  # the till adds binary fractions, the ledger decimal ones


class Death(BaseModel):
    """An attempt ends at its n-th transaction: before it is committed, or right after."""

    model_config = ConfigDict(frozen=True)

    at: int
    committed: bool


class Case(BaseModel):
    """One run. ``deaths`` and ``twice`` are dealt out to its attempts in the order in which they begin."""

    model_config = ConfigDict(frozen=True)

    companies: tuple[int, ...]
    workers: int
    slots: int
    max_cost_usd: float | None
    max_model_calls: int | None
    raised_by: float
    dearest: bool
    deaths: tuple[Death | None, ...]
    twice: tuple[bool, ...]
    faults: tuple[Fault, ...]


class Outcome(BaseModel):
    """What came of one run. ``over`` are the ways in which it was not as it must be; empty is good."""

    model_config = ConfigDict(frozen=True)

    over: tuple[str, ...]
    asked: bool
    raises: int
    charged: int
    answered_turns: int
    lost_turns: int
    spent_usd: float
    used_of_limit: float | None
    exact: bool | None
    deaths: int
    met: tuple[Fault, ...]


@dataclass
class _Life:
    """How many transactions an attempt may still make; None: as many as it likes."""

    death: Death | None
    transactions: int = 0


_life: ContextVar[_Life | None] = ContextVar("life", default=None)


class MortalDatabase(Database):
    """The production pool, in whose transactions an attempt may die: what was committed is, the rest never was."""

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """As ``Database.transaction``, or its end."""
        life = _life.get()
        if life is None or life.death is None:
            async with super().transaction() as conn:
                yield conn
            return
        life.transactions += 1
        dies = life.transactions == life.death.at
        async with super().transaction() as conn:
            yield conn
            if dies and not life.death.committed:
                raise asyncio.CancelledError
        if dies:
            raise asyncio.CancelledError


def violations(till_usd: float, till_calls: int, said_usd: float, said_calls: int, limits: Limits) -> list[str]:
    """How what was charged, and what the run says of it, break the promises: no limit is exceeded, and no less is said than was charged."""
    found: list[str] = []
    if limits.max_cost_usd is not None and till_usd > limits.max_cost_usd:
        found.append(f"${till_usd:.6f} spent of ${limits.max_cost_usd:g}")
    if limits.max_model_calls is not None and till_calls > limits.max_model_calls:
        found.append(f"{till_calls} calls of {limits.max_model_calls}")
    if said_usd < till_usd - _ROUNDING_USD or said_calls < till_calls:
        found.append(f"${said_usd:.6f}, {said_calls} calls said; ${till_usd:.6f}, {till_calls} charged")
    if limits.max_cost_usd is not None and said_usd > limits.max_cost_usd + _ROUNDING_USD:
        found.append(f"${said_usd:.6f} said of ${limits.max_cost_usd:g}")
    return found


class Bench:
    """The servers, the workers, and what has been measured."""

    def __init__(
        self, settings: Settings, workers: list[tuple[MortalDatabase, ToolGateway]], model: MeteredModel
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._model = model
        self._client = openai.AsyncOpenAI(
            api_key="bench", base_url=settings.openai_base_url, timeout=settings.model_timeout_s, max_retries=0
        )
        gold = gold_table(generate_world(DEFAULT_SEED)).companies
        self._companies = [each for each in gold if each.deliverable and each.website]
        self.outcomes: list[Outcome] = []

    async def close(self) -> None:
        """Close the model's client."""
        await self._client.close()

    async def run(self, case: Case) -> None:
        """One simulated run, from its first reservation to its last answer, with raised limits where it asks."""
        request = RunRequest(
            run_id=uuid4(),
            criteria=Criteria(),
            target_quantity=len(case.companies),
            contacts_min=1,
            contacts_max=3,
            limits=Limits(max_cost_usd=case.max_cost_usd, max_model_calls=case.max_model_calls),
            windows=Windows(),
        )
        database = self._workers[0][0]
        async with database.transaction() as conn:
            await runs.insert_run(conn, request, workflow_id_of(request.run_id), None)
        till = self._model.tills[str(request.run_id)] = Till(list(case.faults), case.dearest)
        simulated = _Simulated(self, case, request.run_id, till)
        pending = list(dict.fromkeys(self._companies[number % len(self._companies)].name for number in case.companies))
        raises = 0
        while pending:
            pending = await simulated.work(pending)
            await self._check(simulated, request.limits)
            if not pending:
                break
            if raises == _RAISES_MAX:
                simulated.over.append(f"{len(pending)} conversations unanswered after {raises} raises")
                break
            raises += 1
            request = request.model_copy(update={"limits": _raised(request.limits, case.raised_by, raises)})
            async with database.transaction() as conn:
                await runs.amend(conn, request)
        self.outcomes.append(await self._judged(simulated, request.limits, raises))

    async def _check(self, simulated: "_Simulated", limits: Limits) -> None:
        ledger_usd, calls, _, _ = await self._ledger(simulated.run_id)
        simulated.over += violations(simulated.till.spent_usd, simulated.till.charged, ledger_usd, calls, limits)

    async def _ledger(self, run_id: UUID) -> tuple[float, int, int, int]:
        """What the run says: dollars, calls, answered turns, calls without an answer in time."""
        async with self._workers[0][0].transaction() as conn:
            cursor = await conn.execute(
                """
                SELECT coalesce(sum(cost_usd), 0)::float8 AS usd, count(*) AS calls,
                       count(*) FILTER (WHERE status = 'stored') AS stored, count(*) FILTER (WHERE status <> 'stored') AS lost
                FROM agent_turns WHERE run_id = %s
                """,
                (run_id,),
            )
            [row] = await cursor.fetchall()
        return row["usd"], row["calls"], row["stored"], row["lost"]

    async def _judged(self, simulated: "_Simulated", limits: Limits, raises: int) -> Outcome:
        till = simulated.till
        usd, _, stored, lost = await self._ledger(simulated.run_id)
        known = lost == 0 and "no_usage" not in till.met
        exact = abs(usd - till.spent_usd) < _ROUNDING_USD if known else None
        if exact is False:
            simulated.over.append(f"${usd:.9f} said, ${till.spent_usd:.9f} charged, though every answer came")
        return Outcome(
            over=tuple(simulated.over),
            asked=raises > 0,
            raises=raises,
            charged=till.charged,
            answered_turns=stored,
            lost_turns=lost,
            spent_usd=till.spent_usd,
            used_of_limit=till.spent_usd / limits.max_cost_usd if limits.max_cost_usd else None,
            exact=exact,
            deaths=simulated.deaths,
            met=tuple(fault for fault in till.met if fault != "none"),
        )

    def company(self, name: str) -> GoldCompany:
        """A company of the demo's world."""
        return next(each for each in self._companies if each.name == name)

    def runner(self, number: int, key: str) -> AgentRunner:
        """The agent loop of one of the workers, whose calls carry this key."""
        database, gateway = self._workers[number % len(self._workers)]
        return AgentRunner(self._client.with_options(api_key=key), gateway, database, self._settings)


class _Simulated:
    """One run under way."""

    def __init__(self, bench: Bench, case: Case, run_id: UUID, till: Till) -> None:
        self.run_id = run_id
        self.till = till
        self.over: list[str] = []
        self.deaths = 0
        self._bench = bench
        self._case = case
        self._begun = 0
        self._slots = asyncio.Semaphore(case.workers * case.slots)

    async def work(self, names: list[str]) -> list[str]:
        """Work on conversations until each is answered or waits for money; returns those that wait."""
        waiting = await asyncio.gather(*(self._conversation(name) for name in names))
        return [name for name, waits in zip(names, waiting, strict=True) if waits]

    async def _conversation(self, name: str) -> bool:
        for _ in range(_ATTEMPTS_MAX):
            number = self._begun
            twice = number < len(self._case.twice) and self._case.twice[number]
            async with self._slots:
                ends = await asyncio.gather(*(self._attempt(name) for _ in range(2 if twice else 1)))
            answers = [end for end in ends if end is not None]
            if any(end.interruption is None for end in answers):
                return False
            if answers:
                return True
        self.over.append(f"{name}: no answer in {_ATTEMPTS_MAX} attempts")
        return False

    async def _attempt(self, name: str) -> AgentAnswer | None:
        """One attempt, as an activity makes it; None when it died or failed, and Temporal would try again."""
        number, self._begun = self._begun, self._begun + 1
        attempt = asyncio.create_task(self._call(name, number))
        self.till.callers[str(number)] = attempt
        try:
            return await attempt
        except asyncio.CancelledError:
            self.deaths += 1
        except ApplicationError as error:
            if error.non_retryable:
                self.over.append(f"{name}: {error.type}")
        return None

    async def _call(self, name: str, number: int) -> AgentAnswer:
        deaths = self._case.deaths
        _life.set(_Life(deaths[number] if number < len(deaths) else None))
        company = self._bench.company(name)
        task: dict[str, Any] = {
            "task": "company_research",
            "company": {"name": name, "website": company.website, "domain": company.domain},
            "known_pages": [{"url": company.website, "title": name}],
            "wanted": list(company_research.ResearchOutput.model_fields),
        }
        return await self._bench.runner(number % self._case.workers, f"{self.run_id}/{number}").run(
            company_research.ROLE, self.run_id, name, task, allowed_urls=[str(company.website)]
        )


def _raised(limits: Limits, factor: float, raises: int) -> Limits:
    """As a person raises them; more each time, so that every run comes to its end."""
    usd, calls = limits.max_cost_usd, limits.max_model_calls
    return limits.model_copy(
        update={
            "max_cost_usd": None if usd is None else round(usd * factor + 0.005 * raises, 6),
            "max_model_calls": None if calls is None else round(calls * factor) + raises,
        }
    )
