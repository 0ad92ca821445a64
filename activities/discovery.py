"""Run one search task: the agent reads, code checks every named company and stores it."""

import structlog
from temporalio import activity

from activities.heartbeats import heartbeating
from agents import discovery
from agents.discovery import DiscoveryOutput, FoundCompany
from agents.grounding import Grounder, contains, page_url
from agents.loop import AgentRunner
from domain.hosts import is_not_a_lead, registrable_domain
from domain.identity import name_key, phone_key
from domain.places import state_code, state_names
from domain.steps import POSITIONS_PER_TASK, TaskOutcome, TaskStep
from store import companies, search_tasks
from store.companies import Candidate
from store.database import Database
from store.search_tasks import SearchTaskRow
from store.tool_results import ToolResult
from tools.pms.rules import portal_account

log = structlog.get_logger()

_KNOWN_NAMES_MAX = 300


class DiscoveryActivities:
    """Search tasks."""

    def __init__(self, database: Database, runner: AgentRunner) -> None:
        self._database = database
        self._runner = runner

    @activity.defn
    async def discover(self, step: TaskStep) -> TaskOutcome:
        """Run a search task and store the companies that it names with proof.

        Safe to run twice: model turns are stored as they arrive, companies are keyed within the run.

        Raises:
            ApplicationError: the model's service failed (typed in ``agents/errors.py``).
        """
        run_id = step.request.run_id
        async with self._database.transaction() as conn:
            task = await search_tasks.get_task(conn, step.task.task_id)
            await search_tasks.start_task(conn, task.task_id)
            known = await companies.names_found(conn, run_id, task.state, _KNOWN_NAMES_MAX)
        with heartbeating() as on_turn:
            answer = await self._runner.run(
                discovery.ROLE,
                run_id,
                f"task {task.task_id} round {step.retry_round}",
                _task_input(step, task, known),
                on_turn=on_turn,
            )
        if answer.interruption is not None:
            return TaskOutcome(spend=answer.spend, interruption=answer.interruption)
        named = 0
        found = answer.output.companies if isinstance(answer.output, DiscoveryOutput) else []
        grounder = Grounder(answer.results)
        for index, company in enumerate(found):
            candidate = checked_candidate(company, grounder, answer.results)
            if candidate is None:
                continue
            named += 1
            position = task.ordinal * POSITIONS_PER_TASK + index
            async with self._database.transaction() as conn:
                # Sequence numbers must become visible in their order, or the run could read past a company.
                await companies.lock_run(conn, run_id)
                await companies.insert_candidate(conn, run_id, task.task_id, position, candidate)
        async with self._database.transaction() as conn:
            new = await search_tasks.finish_task(conn, task.task_id, "done", named, answer.spend.cost_usd)
        log.info("search_task_done", stop=answer.stop, named=named, new=new, dropped=dict(grounder.dropped))
        return TaskOutcome(named=named, new=new, spend=answer.spend)


def _task_input(step: TaskStep, task: SearchTaskRow, known: list[str]) -> dict[str, object]:
    criteria = step.request.criteria
    return {
        "task": "discovery",
        "kind": task.kind,
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


def checked_candidate(company: FoundCompany, grounder: Grounder, results: dict[str, ToolResult]) -> Candidate | None:
    """A named company as a candidate, or None when it is unproven or cannot be a lead.

    Of the optional fields only what stands in the cited source is kept; a link must be one that the source shows.
    """
    evidence = grounder.evidence("company", company.citation, values=[company.name])
    if evidence is None:
        return None
    source = results[company.citation.result_id]
    url = company.url if company.url and company.url in source.text else None
    if source.tool == "search_web" and url is None:
        url = evidence.url or None
    if company.url and url is None:
        grounder.dropped["url:not_in_source"] += 1
    domain = registrable_domain(url) if url else None
    is_portal = url is not None and portal_account(url) is not None
    if domain is not None and not is_portal and is_not_a_lead(domain) is not None:
        grounder.dropped["company:not_a_lead"] += 1
        return None
    source_domain = registrable_domain(page_url(source)) if source.tool == "fetch_page" else None
    if domain is not None and domain == source_domain:
        url, domain = None, None  # a profile page on the directory it was named on is not the company's own site
    state = state_code(company.state) if company.state else None
    city = company.city if company.city and contains(source.text, company.city) else None
    return Candidate(
        name=" ".join(company.name.split()),
        url=url,
        city=city,
        state=state,
        phone=phone_key(company.phone) if company.phone and contains(source.text, company.phone) else None,
        discovery_source=page_url(source) if source.tool == "fetch_page" else evidence.url,
        evidence=evidence,
        candidate_key=_candidate_key(company.name, city, state, url, domain),
    )


def _candidate_key(name: str, city: str | None, state: str | None, url: str | None, domain: str | None) -> str:
    account = portal_account(url) if url else None
    if account is not None:
        return f"portal:{account.vendor}:{account.slug}"
    return f"domain:{domain}" if domain else f"name:{name_key(name, city, state)}"
