"""One simulated run of ``budget.py``: conversations whose attempts die, and what till and ledger say at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import openai
from temporalio.exceptions import ApplicationError

from agents.loop import AgentAnswer, AgentRunner
from agents.roles import company_research
from bench.budget_model import Fault, MeteredModel, Till
from domain.request.criteria import Criteria
from domain.request.run_request import Limits, RunRequest, Windows, workflow_id_of
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from settings import Settings
from store.database import Connection, Database
from store.runs import runs
from web.gateway import ToolGateway

_ATTEMPTS_MAX = 60
_RAISES_MAX = 12
_ROUNDING_USD = 1e-9  # the till adds binary fractions, the ledger decimal ones


@dataclass(frozen=True)
class Death:
    """An attempt ends at its n-th transaction: before it is committed, or right after."""

    at: int
    committed: bool


@dataclass(frozen=True)
class Case:
    """One run. ``deaths`` and ``twice`` apply to its attempts in the order in which they start."""

    companies: list[int]
    workers: int
    slots: int
    max_cost_usd: float | None
    max_model_calls: int | None
    raised_by: float
    dearest: bool
    deaths: list[Death | None]
    twice: list[bool]
    faults: list[Fault]


@dataclass
class _Life:
    """An attempt's transactions so far, and its death if one was drawn."""

    death: Death | None = None
    transactions: int = 0


_life: ContextVar[_Life] = ContextVar("life")


class MortalDatabase(Database):
    """The production pool. An attempt may die in a transaction: what was committed stays, the rest is rolled back."""

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        life = _life.get(None) or _Life()
        life.transactions += 1
        death = life.death if life.death is not None and life.death.at == life.transactions else None
        async with super().transaction() as conn:
            yield conn
            if death is not None and not death.committed:
                raise asyncio.CancelledError
        if death is not None:
            raise asyncio.CancelledError


class Bench:
    """The servers and the workers that all runs share."""

    def __init__(
        self, settings: Settings, workers: list[tuple[MortalDatabase, ToolGateway]], model: MeteredModel
    ) -> None:
        self.settings = settings
        self.workers = workers
        self.model = model
        self.database = workers[0][0]
        self.client = openai.AsyncOpenAI(
            api_key="bench", base_url=settings.openai_base_url, timeout=settings.model_timeout_s, max_retries=0
        )
        gold = gold_table(generate_world(DEFAULT_SEED)).companies
        self.companies = [company for company in gold if company.deliverable and company.website]


@dataclass(frozen=True)
class Ledger:
    """What the run says it has spent. ``lost`` calls had no answer in time."""

    usd: float
    calls: int
    lost: int


class SimulatedRun:
    """One run under way.

    Attributes:
        problems: how it broke a promise; empty is good.
        raises: how often its limits were raised.
        is_exact: whether the ledger equals the till; None if an answer got lost, or lacked its usage.
    """

    def __init__(self, bench: Bench, case: Case) -> None:
        self.run_id: UUID = uuid4()
        self.till = bench.model.tills[str(self.run_id)] = Till(list(case.faults), case.dearest)
        self.problems: list[str] = []
        self.raises = 0
        self.deaths = 0
        self.is_exact: bool | None = None
        self.limits = Limits(max_cost_usd=case.max_cost_usd, max_model_calls=case.max_model_calls)
        self._bench = bench
        self._case = case
        self._started = 0
        self._slots = asyncio.Semaphore(case.workers * case.slots)

    async def run(self) -> None:
        """From the first reservation to the last answer. Limits are raised when the run asks for it."""
        companies = self._bench.companies
        numbers = [number % len(companies) for number in self._case.companies]
        pending = list(
            {companies[number].name: number for number in numbers}.values()
        )  # a name is a conversation's key
        request = RunRequest(
            run_id=self.run_id,
            criteria=Criteria(),
            target_quantity=len(pending),
            contacts_min=1,
            contacts_max=3,
            limits=self.limits,
            windows=Windows(),
        )
        async with self._bench.database.transaction() as conn:
            await runs.insert_run(conn, request, workflow_id_of(self.run_id), None)
        while True:
            waiting = await asyncio.gather(*map(self._converse, pending))
            pending = [number for number, waits in zip(pending, waiting, strict=True) if waits]
            ledger = await self._ledger()
            self.problems += violations(self.till, ledger, self.limits)
            if not pending:
                break
            if self.raises == _RAISES_MAX:
                self.problems.append(f"{len(pending)} conversations unanswered after {self.raises} raises")
                break
            self.raises += 1
            self.limits = _raised(self.limits, self._case.raised_by, self.raises)
            async with self._bench.database.transaction() as conn:
                await runs.amend(conn, request.model_copy(update={"limits": self.limits}))
        if not ledger.lost and "no_usage" not in self.till.met:
            self.is_exact = abs(ledger.usd - self.till.spent_usd) < _ROUNDING_USD
            if not self.is_exact:
                self.problems.append(f"${ledger.usd:.9f} said, ${self.till.spent_usd:.9f} charged, every answer came")

    async def _ledger(self) -> Ledger:
        async with self._bench.database.transaction() as conn:
            cursor = await conn.execute(
                """
                SELECT coalesce(sum(cost_usd), 0)::float8 AS usd, count(*) AS calls,
                       count(*) FILTER (WHERE status <> 'stored') AS lost
                FROM agent_turns WHERE run_id = %s
                """,
                (self.run_id,),
            )
            [row] = await cursor.fetchall()
        return Ledger(**row)

    async def _converse(self, company: int) -> bool:
        """Work on one conversation until it is answered. Returns whether it waits for a higher limit."""
        for _ in range(_ATTEMPTS_MAX):
            twice = self._case.twice[self._started : self._started + 1] == [True]
            async with self._slots:
                ends = await asyncio.gather(*(self._attempt(company) for _ in range(2 if twice else 1)))
            answers = [end for end in ends if end is not None]
            if answers:
                return all(answer.interruption is not None for answer in answers)
        self.problems.append(f"company {company}: no answer in {_ATTEMPTS_MAX} attempts")
        return False

    async def _attempt(self, company: int) -> AgentAnswer | None:
        """One attempt, as an activity makes it. None if it died or failed, and Temporal would try again."""
        number, self._started = self._started, self._started + 1
        attempt = asyncio.create_task(self._call(company, number))
        self.till.callers[str(number)] = attempt
        try:
            return await attempt
        except asyncio.CancelledError:
            self.deaths += 1
        except ApplicationError as error:
            if error.non_retryable:
                self.problems.append(f"company {company}: {error.type}")
        return None

    async def _call(self, number_of_company: int, number: int) -> AgentAnswer:
        _life.set(_Life(self._case.deaths[number] if number < len(self._case.deaths) else None))
        bench, company = self._bench, self._bench.companies[number_of_company]
        task: dict[str, Any] = {
            "task": "company_research",
            "company": {"name": company.name, "website": company.website, "domain": company.domain},
            "known_pages": [{"url": company.website, "title": company.name}],
            "wanted": list(company_research.ResearchOutput.model_fields),
        }
        database, gateway = bench.workers[number % self._case.workers]
        client = bench.client.with_options(api_key=f"{self.run_id}/{number}")
        return await AgentRunner(client, gateway, database, bench.settings).run(
            company_research.ROLE, self.run_id, company.name, task, allowed_urls=[str(company.website)]
        )


def violations(till: Till, ledger: Ledger, limits: Limits) -> list[str]:
    """Where a limit is exceeded, or the run says less than was charged."""
    found: list[str] = []
    if limits.max_cost_usd is not None and till.spent_usd > limits.max_cost_usd:
        found.append(f"${till.spent_usd:.6f} spent of ${limits.max_cost_usd:g}")
    if limits.max_model_calls is not None and till.charged > limits.max_model_calls:
        found.append(f"{till.charged} calls of {limits.max_model_calls}")
    if ledger.usd < till.spent_usd - _ROUNDING_USD or ledger.calls < till.charged:
        found.append(f"${ledger.usd:.6f}, {ledger.calls} calls said; ${till.spent_usd:.6f}, {till.charged} charged")
    if limits.max_cost_usd is not None and ledger.usd > limits.max_cost_usd + _ROUNDING_USD:
        found.append(f"${ledger.usd:.6f} said of ${limits.max_cost_usd:g}")
    return found


def _raised(limits: Limits, factor: float, raises: int) -> Limits:
    """As a person raises them; more each time, so that every run ends."""
    usd, calls = limits.max_cost_usd, limits.max_model_calls
    raised_usd = None if usd is None else round(usd * factor + 0.005 * raises, 6)
    raised_calls = None if calls is None else round(calls * factor) + raises
    return limits.model_copy(update={"max_cost_usd": raised_usd, "max_model_calls": raised_calls})
