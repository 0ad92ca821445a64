"""Run one search task: what is at hand is taken by code, the rest is read by an agent; every company is checked and stored."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import structlog
from temporalio import activity

from activities.candidates import checked_candidate
from activities.directory_pages import ListReadings, read_lists_whole
from activities.heartbeats import heartbeating
from activities.stored_candidates import find_stored_candidates
from agents.loop import AgentAnswer, AgentRunner
from agents.roles import discovery
from agents.roles.discovery import DiscoveryOutput
from domain.activity_io import POSITIONS_PER_TASK, SearchTaskInput, SearchTaskOutcome
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
_STORED_AT_ONCE = (
    100  # companies a transaction: the run's lock is held, and others wait for it, a few tenths of a second
)


class DiscoveryActivities:
    """Search tasks."""

    def __init__(self, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> None:
        self._database = database
        self._gateway = gateway
        self._runner = runner
        self._found_again_hours = settings.search_ttl_hours

    @activity.defn
    async def discover(self, params: SearchTaskInput) -> SearchTaskOutcome:
        """Run a search task and store the companies that it names with proof.

        Safe to run twice: model turns are stored as they arrive, companies are keyed within the run.

        Raises:
            ApplicationError: the model's service failed (typed in ``agents/errors.py``).
        """
        async with self._database.transaction() as conn:
            task = await search_tasks.get_task(conn, params.task.task_id)
            await search_tasks.start_task(conn, task.task_id)
        if task.kind in WITHOUT_MODEL:
            return await self._take_at_hand(params, task)
        async with self._database.transaction() as conn:
            shown = await companies.list_names(conn, task.run_id, task.state, _KNOWN_NAMES_MAX)
        asked = task_input(params, task, shown)
        question_hash = self._runner.question_hash(discovery.ROLE, asked)
        if params.retry_round == 0:  # later rounds look anew because a person has told them to
            async with self._database.transaction() as conn:
                before = await search_tasks.find_reusable_search(conn, task, question_hash, self._found_again_hours)
                # What an attempt that has died had begun to buy is used, not dropped.
                begun = await runs.spend_on(conn, task.run_id, _subject(params), discovery.ROLE.name)
            if before is not None and not begun.model_calls:
                return await self._take_over(task, before)
        return await self._search(params, task, asked, question_hash)

    @activity.defn
    async def fail_search_task(self, params: SearchTaskInput) -> None:
        """Mark a task whose step failed for good, so that the run goes on without it and ``retry`` finds it."""
        async with self._database.transaction() as conn:
            await search_tasks.fail_task(conn, params.task.task_id)

    async def _take_at_hand(self, params: SearchTaskInput, task: SearchTaskRow) -> SearchTaskOutcome:
        run_id = params.request.run_id
        with heartbeating():
            async with self._database.transaction() as conn:
                found = await find_stored_candidates(conn, run_id, task.kind, params.request.criteria)
            await self._store(run_id, task, found)
        return await self._finish(task, TaskYield(named=len(found)), SearchTaskOutcome(named=len(found)))

    async def _take_over(self, task: SearchTaskRow, before: ReusableSearch) -> SearchTaskOutcome:
        """What a run for the same has found by this search is not bought again while search results are kept."""
        with heartbeating():
            async with self._database.transaction() as conn:
                found = await companies.list_candidates(conn, before.task_id)
                await search_tasks.copy_page_claims(conn, task.run_id, task.task_id, before.task_id)
            await self._store(task.run_id, task, found)
        found_by_task = TaskYield(named=len(found), listed=before.listed, incomplete_reads=before.incomplete_reads)
        log.info("search_task_taken_over", searched_at=before.searched_at.isoformat(), named=len(found))
        return await self._finish(task, found_by_task, SearchTaskOutcome(named=len(found)))

    async def _search(
        self, params: SearchTaskInput, task: SearchTaskRow, asked: dict[str, object], question_hash: str
    ) -> SearchTaskOutcome:
        run_id = params.request.run_id

        async def claim_page(url: str) -> bool:
            async with self._database.transaction() as conn:
                return await search_tasks.claim_page(conn, run_id, task.task_id, url)

        async def known_sites(sites: set[str]) -> set[str]:
            async with self._database.transaction() as conn:
                return await search_tasks.sites_found_by_other_tasks(conn, run_id, task.task_id, sites)

        with heartbeating() as on_turn:
            answer = await self._runner.run(
                discovery.ROLE,
                run_id,
                _subject(params),
                asked,
                on_turn=on_turn,
                claim_page=claim_page,
                known_sites=known_sites,
            )
            if answer.interruption is not None:
                return SearchTaskOutcome(spend=answer.spend, interruption=answer.interruption)
            found = answer.output.companies if isinstance(answer.output, DiscoveryOutput) else []
            async with self._database.transaction() as conn:
                known = await companies.mentions(conn, run_id, but_of=task.task_id)
            lists = await read_lists_whole(
                self._gateway,
                answer.results.values(),
                [*known, *((company.name, company.url) for company in found)],
                task.state,
                claim_page,
            )
            candidates, dropped = _checked(answer, lists)
            await self._store(run_id, task, candidates)
        found_by_task = TaskYield(
            named=len(candidates),
            listed=lists.listed,
            incomplete_reads=lists.incomplete_reads,
            cost_usd=answer.spend.cost_usd,
        )
        outcome = SearchTaskOutcome(named=len(candidates), spend=answer.spend)
        outcome = await self._finish(task, found_by_task, outcome, question_hash if is_settled(answer, lists) else None)
        log.info(
            "search_task_done",
            stop=answer.stop,
            new=outcome.new,
            dropped=dict(dropped),
            pages_more=lists.pages_more,
            **found_by_task.model_dump(),
        )
        return outcome

    async def _store(self, run_id: UUID, task: SearchTaskRow, found: Sequence[Candidate]) -> None:
        for start in range(0, len(found), _STORED_AT_ONCE):
            async with self._database.transaction() as conn:
                # Sequence numbers must become visible in their order, or the run could read past a company.
                await companies.lock_run(conn, run_id)
                position = await companies.next_position(conn, task.task_id, task.ordinal * POSITIONS_PER_TASK)
                batch = found[start : start + _STORED_AT_ONCE]
                gone = await forgotten.domains_among(conn, {host for each in batch for host in _hosts(each)})
                for candidate in batch:
                    if _hosts(candidate) & gone:
                        continue
                    is_new = await companies.insert_candidate(conn, run_id, task.task_id, position, candidate)
                    position += is_new

    async def _finish(
        self, task: SearchTaskRow, found: TaskYield, outcome: SearchTaskOutcome, question_hash: str | None = None
    ) -> SearchTaskOutcome:
        async with self._database.transaction() as conn:
            new = await search_tasks.finish_task(conn, task.task_id, found, question_hash)
        return outcome.model_copy(update={"new": new})


def _subject(params: SearchTaskInput) -> str:
    return f"task {params.task.task_id} round {params.retry_round}"


def _hosts(candidate: Candidate) -> set[str]:
    """By what a candidate's link tells whose it is: the registrable domain, and the host, which may be a portal's."""
    names = (registrable_domain(candidate.url), normalized_host(candidate.url)) if candidate.url else ()
    return {name for name in names if name}


def is_settled(answer: AgentAnswer, lists: ListReadings) -> bool:
    """Whether asking again would come to the same: the agent ended by itself, and nothing it asked for may be there later."""
    has_missed = lists.cut_short or any(may_succeed_later(result) for result in answer.results.values())
    return answer.stop == "answered" and not has_missed


def _checked(answer: AgentAnswer, lists: ListReadings) -> tuple[list[Candidate], Counter[str]]:
    """What the agent named, then what stood on its lists besides, as far as the sources bear it out."""
    results = {**answer.results, **lists.results}
    grounder = Grounder(results)
    named = answer.output.companies if isinstance(answer.output, DiscoveryOutput) else []
    checked = [checked_candidate(company, grounder, results) for company in (*named, *lists.companies)]
    # A company that stands on two lists of one search is named once.
    once = {candidate.candidate_key: candidate for candidate in reversed(checked) if candidate is not None}
    return list(reversed(once.values())), grounder.dropped


def task_input(params: SearchTaskInput, task: SearchTaskRow, known: list[str]) -> dict[str, object]:
    """What the agent is told: its own task, and the names that need not be found again."""
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
