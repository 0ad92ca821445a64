"""Run search tasks: use stored candidates, reuse a recent search, or ask an agent. Store the companies that are proven."""

from collections import Counter
from collections.abc import Sequence

import structlog
from temporalio import activity

from activities.candidates import proven_candidate
from activities.directory_pages import DirectoryReading, complete_directory_pages
from activities.heartbeats import heartbeating
from activities.stored_candidates import find_stored_candidates
from agents.loop import AgentAnswer, AgentRunner
from agents.roles import discovery
from agents.roles.discovery import DiscoveryOutput
from domain.activity_io import POSITIONS_PER_TASK, SearchTaskInput, SearchTaskOutcome, Spend
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.places import state_names
from domain.request.search_plan import WITHOUT_MODEL
from grounding.quotes import Grounder
from settings import Settings
from store.companies import companies
from store.companies.companies import Candidate
from store.database import Database
from store.erasure import forgotten
from store.runs import runs, search_tasks
from store.runs.search_tasks import ReusableSearch, SearchTaskRow, TaskYield
from web.gateway import ToolGateway, may_succeed_later

log = structlog.get_logger()

_KNOWN_NAMES_MAX = 300
_BATCH_SIZE = 100  # candidates per transaction, which locks the run for a few tenths of a second


class DiscoveryActivities:
    def __init__(self, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> None:
        self._database = database
        self._gateway = gateway
        self._runner = runner
        self._settings = settings

    @activity.defn
    async def discover(self, params: SearchTaskInput) -> SearchTaskOutcome:
        """Run a search task and store the companies that it names with proof.

        Safe to run twice: model turns are stored as they arrive, and companies once per run.

        Raises:
            ApplicationError: the model service failed (types in ``agents/errors.py``).
        """
        async with self._database.transaction() as conn:
            task = await search_tasks.get_task(conn, params.task.task_id)
            await search_tasks.start_task(conn, task.task_id)
        if task.kind in WITHOUT_MODEL:
            return await self._use_stored_candidates(params, task)
        async with self._database.transaction() as conn:
            known = await companies.list_names(conn, task.run_id, task.state, _KNOWN_NAMES_MAX)
            question = _question(params, task, known)
            question_hash = self._runner.question_hash(discovery.ROLE, question)
            reusable = None
            if params.retry_round == 0:  # in later rounds, a person asked for a new search
                reusable = await search_tasks.find_reusable_search(
                    conn, task, question_hash, self._settings.search_ttl_hours
                )
                # If an earlier attempt already paid for answers, use them instead.
                spent = await runs.spend_on(conn, task.run_id, _agent_call_subject(params), discovery.ROLE.name)
                reusable = reusable if not spent.model_calls else None
        if reusable is not None:
            return await self._reuse(task, reusable)
        return await self._search(params, task, question, question_hash)

    @activity.defn
    async def fail_search_task(self, params: SearchTaskInput) -> None:
        """Mark a task that failed permanently. The run continues, and a ``retry`` decision reopens the task."""
        async with self._database.transaction() as conn:
            await search_tasks.fail_task(conn, params.task.task_id)

    async def _use_stored_candidates(self, params: SearchTaskInput, task: SearchTaskRow) -> SearchTaskOutcome:
        with heartbeating():
            async with self._database.transaction() as conn:
                found = await find_stored_candidates(conn, task.run_id, task.kind, params.request.criteria)
            await self._store(task, found)
        return await self._finish(task, TaskYield(named=len(found)))

    async def _reuse(self, task: SearchTaskRow, search: ReusableSearch) -> SearchTaskOutcome:
        """Copy what a recent run with the same criteria found with this search."""
        with heartbeating():
            async with self._database.transaction() as conn:
                found = await companies.list_candidates(conn, search.task_id)
                await search_tasks.copy_page_claims(conn, task.run_id, task.task_id, search.task_id)
            await self._store(task, found)
        log.info("search_reused", searched_at=search.searched_at.isoformat(), named=len(found))
        found_by_task = TaskYield(named=len(found), listed=search.listed, incomplete_reads=search.incomplete_reads)
        return await self._finish(task, found_by_task)

    async def _search(
        self, params: SearchTaskInput, task: SearchTaskRow, question: dict[str, object], question_hash: str
    ) -> SearchTaskOutcome:
        async def claim_page(url: str) -> bool:
            async with self._database.transaction() as conn:
                return await search_tasks.claim_page(conn, task.run_id, task.task_id, url)

        async def known_sites(sites: set[str]) -> set[str]:
            async with self._database.transaction() as conn:
                return await search_tasks.sites_found_by_other_tasks(conn, task.run_id, task.task_id, sites)

        with heartbeating() as on_turn:
            answer = await self._runner.run(
                discovery.ROLE,
                task.run_id,
                _agent_call_subject(params),
                question,
                on_turn=on_turn,
                claim_page=claim_page,
                known_sites=known_sites,
            )
            if answer.interruption is not None:
                return SearchTaskOutcome(spend=answer.spend, interruption=answer.interruption)
            async with self._database.transaction() as conn:
                mentions = await companies.list_mentions(conn, task.run_id, but_of=task.task_id)
            mentions += [(company.name, company.url) for company in _named(answer)]
            reading = await complete_directory_pages(
                self._gateway, answer.results.values(), mentions, task.state, claim_page
            )
            found, dropped = _prove(answer, reading)
            await self._store(task, found)
        found_by_task = TaskYield(
            named=len(found),
            listed=reading.listed,
            incomplete_reads=reading.incomplete_reads,
            cost_usd=answer.spend.cost_usd,
        )
        reusable_as = question_hash if is_conclusive(answer, reading) else None
        outcome = await self._finish(task, found_by_task, answer.spend, reusable_as)
        log.info(
            "search_task_done",
            stop=answer.stop,
            new=outcome.new,
            dropped=dict(dropped),
            extra_pages=reading.extra_pages,
            **found_by_task.model_dump(),
        )
        return outcome

    async def _store(self, task: SearchTaskRow, found: Sequence[Candidate]) -> None:
        for start in range(0, len(found), _BATCH_SIZE):
            batch = found[start : start + _BATCH_SIZE]
            async with self._database.transaction() as conn:
                # Without the lock, sequence numbers could commit out of order and the run could skip a company.
                await companies.lock_run(conn, task.run_id)
                position = await companies.next_position(conn, task.task_id, task.ordinal * POSITIONS_PER_TASK)
                gone = await forgotten.forgotten_domains(conn, {host for each in batch for host in _hosts(each)})
                for candidate in batch:
                    if not _hosts(candidate) & gone:
                        position += await companies.insert_candidate(
                            conn, task.run_id, task.task_id, position, candidate
                        )

    async def _finish(
        self, task: SearchTaskRow, found: TaskYield, spend: Spend | None = None, question_hash: str | None = None
    ) -> SearchTaskOutcome:
        async with self._database.transaction() as conn:
            new = await search_tasks.finish_task(conn, task.task_id, found, question_hash)
        return SearchTaskOutcome(named=found.named, new=new, spend=spend or Spend())


def is_conclusive(answer: AgentAnswer, reading: DirectoryReading) -> bool:
    """Whether another run may reuse the answer: the agent finished, and no failed page is worth a retry."""
    has_missed = reading.cut_short or any(may_succeed_later(result) for result in answer.results.values())
    return answer.stop == "answered" and not has_missed


def _named(answer: AgentAnswer) -> list[discovery.FoundCompany]:
    return answer.output.companies if isinstance(answer.output, DiscoveryOutput) else []


def _prove(answer: AgentAnswer, reading: DirectoryReading) -> tuple[list[Candidate], Counter[str]]:
    """Return each proven company once, as first named, and the number of dropped claims per reason."""
    results = {**answer.results, **reading.results}
    grounder = Grounder(results)
    proven = [proven_candidate(company, grounder, results) for company in (*_named(answer), *reading.companies)]
    by_key = {candidate.candidate_key: candidate for candidate in reversed(proven) if candidate is not None}
    return list(reversed(by_key.values())), grounder.dropped


def _hosts(candidate: Candidate) -> set[str]:
    names = (registrable_domain(candidate.url), normalized_host(candidate.url)) if candidate.url else ()
    return {name for name in names if name}


def _agent_call_subject(params: SearchTaskInput) -> str:
    return f"task {params.task.task_id} round {params.retry_round}"


def _question(params: SearchTaskInput, task: SearchTaskRow, known: list[str]) -> dict[str, object]:
    criteria = params.request.criteria
    return {
        "task": "discovery",
        "kind": "directory_pages" if task.kind == "directory_pages" else "individual",
        "query": task.query,
        "place": {
            "city": task.city,
            "state": task.state,
            "state_name": state_names().get(task.state) if task.state else None,
        },
        "pms": [vendor.value for vendor in criteria.pms],
        "keywords": list(criteria.keywords),
        "notes": criteria.notes,
        "already_known": known,
    }
