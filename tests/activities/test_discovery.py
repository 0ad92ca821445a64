"""A recent search of a run with the same criteria is reused: nothing is asked, read or paid twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import openai
import pytest

from activities.directory_pages import DirectoryReading
from activities.discovery import DiscoveryActivities, is_conclusive
from agents.loop import AgentAnswer, AgentRunner, Stop
from agents.roles.discovery import DiscoveryOutput
from domain.activity_io import SearchTaskInput, SearchTaskOutcome, SearchTaskRef, Spend
from domain.request.criteria import parse_criteria
from domain.request.run_request import RunRequest, workflow_id_of
from domain.request.search_plan import SearchTask, plan_search
from search.searxng import SearxngSearch
from settings import SearchBackendName, Settings
from store.companies.companies import list_candidates
from store.database import Connection, Database
from store.runs import runs, search_tasks
from store.tools.tool_results import ToolResult
from tests.activities.environment import activity_environment
from tests.store.rows import run_request
from web.fetch import WebClient
from web.gateway import ToolGateway


class Searched(NamedTuple):
    """The outcome of one search, and the companies stored, as (key, link, quote)."""

    outcome: SearchTaskOutcome
    found: list[tuple[str, str | None, str]]


_FIRST_TURN = """
    INSERT INTO agent_turns (run_id, subject, role, input_hash, turn, call_id, task, model, status, output, input_tokens,
                             output_tokens, cost_usd)
    SELECT %s, %s, role, input_hash, turn, gen_random_uuid(), task, model, status, output, input_tokens, output_tokens, cost_usd
    FROM agent_turns WHERE turn = 0
"""


class Search:
    """One search task, run for one run after another."""

    def __init__(self, database: Database, gateway: ToolGateway, model: openai.AsyncOpenAI, settings: Settings) -> None:
        self.database, self.gateway, self.model, self.settings = database, gateway, model, settings

    async def by_a_new_run(self, *, retry_round: int = 0, has_begun: bool = False, **criteria: Any) -> Searched:
        """Search in a new run. If it ``has_begun``, an earlier attempt has paid for the first turn."""
        request = run_request()
        if criteria:
            asked = parse_criteria({"pms": "Buildium", "state": "TX"} | criteria).criteria
            request = request.model_copy(update={"criteria": asked})
        async with self.database.transaction() as conn:
            assert await runs.insert_run(conn, request, workflow_id_of(request.run_id), "")
            task = await self._task(conn, request)
            if has_begun:
                await conn.execute(_FIRST_TURN, (request.run_id, f"task {task.task_id} round 0"))
        runner = AgentRunner(self.model, self.gateway, self.database, self.settings)
        activities = DiscoveryActivities(self.database, self.gateway, runner, self.settings)
        params = SearchTaskInput(request=request, task=task, retry_round=retry_round)
        outcome = await activity_environment().run(activities.discover, params)
        async with self.database.transaction() as conn:
            found = await list_candidates(conn, task.task_id)
        return Searched(outcome, [(each.candidate_key, each.url, each.evidence.quote) for each in found])

    async def age(self, by: timedelta) -> None:
        async with self.database.transaction() as conn:
            await conn.execute("UPDATE search_tasks SET searched_at = searched_at - %s", (by,))

    async def _task(self, conn: Connection, request: RunRequest) -> SearchTaskRef:
        in_austin = [task for task in plan_search(request.criteria) if task.city == "Austin"]
        task: SearchTask = next(task for task in in_austin if task.kind == "directory_pages")
        assert await search_tasks.insert_tasks(conn, request.run_id, (task,)) == 1
        [ref] = await search_tasks.next_open(conn, request.run_id, -1, 9)
        return ref


@pytest.fixture
def search(database: Database, gateway: ToolGateway, demo_model: openai.AsyncOpenAI, settings: Settings) -> Search:
    return Search(database, gateway, demo_model, settings)


async def test_a_recent_search_is_reused_and_nothing_is_bought(search: Search) -> None:
    first = await search.by_a_new_run()
    assert first.outcome.spend.model_calls > 0
    assert len(first.found) > 5

    second = await search.by_a_new_run()

    assert second.found == first.found, "same companies, quotes and order"
    assert (second.outcome.named, second.outcome.new) == (len(first.found), len(first.found))
    assert second.outcome.spend == Spend()
    async with search.database.transaction() as conn:
        cursor = await conn.execute(
            "SELECT run_id, array_agg(url ORDER BY url) AS urls FROM search_task_pages GROUP BY 1"
        )
        rows = await cursor.fetchall()
    assert len(rows) == 2
    assert rows[0]["urls"] == rows[1]["urls"] != [], "no other search reads these pages again"


async def test_turns_of_an_earlier_attempt_are_used_and_counted(search: Search) -> None:
    first = await search.by_a_new_run()
    second = await search.by_a_new_run(has_begun=True)
    assert second.outcome.spend.model_calls == first.outcome.spend.model_calls
    assert second.found == first.found


async def test_reuse_does_not_make_a_search_newer(search: Search) -> None:
    await search.by_a_new_run()
    await search.age(timedelta(hours=search.settings.search_ttl_hours / 2))
    assert (await search.by_a_new_run()).outcome.spend.model_calls == 0
    await search.age(timedelta(hours=search.settings.search_ttl_hours / 2))
    assert (await search.by_a_new_run()).outcome.spend.model_calls > 0


@pytest.mark.parametrize(
    "changed",
    [{"suppress_domains": ["acme.example"]}, {"retry_round": 1}],
    ids=["other_criteria", "retry_round"],
)
async def test_another_question_is_searched_again(search: Search, changed: dict[str, Any]) -> None:
    await search.by_a_new_run()
    assert (await search.by_a_new_run(**changed)).outcome.spend.model_calls > 0


@pytest.mark.parametrize(
    "setting", [{"openai_model": "another"}, {"search_ttl_hours": 0.0}], ids=["another_model", "nothing_is_kept"]
)
async def test_other_settings_search_again(search: Search, setting: dict[str, Any]) -> None:
    await search.by_a_new_run()
    search.settings = search.settings.model_copy(update=setting)
    assert (await search.by_a_new_run()).outcome.spend.model_calls > 0


class OtherSearch(SearxngSearch):
    """The demo's search under another service's name."""

    name: ClassVar[SearchBackendName] = "brave"


async def test_another_search_service_searches_again(
    search: Search, demo_web: WebClient, demo_search: SearxngSearch
) -> None:
    await search.by_a_new_run()
    other = OtherSearch(demo_search.client, demo_search.base_url)
    search.gateway = ToolGateway(search.database, demo_web, other, search.settings)
    assert (await search.by_a_new_run()).outcome.spend.model_calls > 0


def answered(*, reason: str | None = None, stop: Stop = "answered", **payload: Any) -> AgentAnswer:
    """An answer after reading one page, which fails for this reason."""
    page = ToolResult(
        result_id="r1",
        tool="fetch_page",
        args={},
        status="error",
        reason=reason,
        payload=payload,
        fetched_at=datetime.now(UTC),
    )
    return AgentAnswer(DiscoveryOutput(companies=[]), stop, {"r1": page} if reason else {})


@pytest.mark.parametrize(
    ("answer", "conclusive"),
    [
        (answered(), True),
        (answered(reason="http_404"), True),
        (answered(reason="timeout", retry_in_s=5.0), False),
        (answered(reason="rate_limit_timeout"), False),
        (answered(reason="connection_lost"), False),
        (answered(stop="limit"), False),
        (answered(stop="cut_off"), False),
    ],
)
def test_only_a_conclusive_answer_is_reusable(answer: AgentAnswer, *, conclusive: bool) -> None:
    assert is_conclusive(answer, DirectoryReading()) is conclusive
    assert not is_conclusive(answer, DirectoryReading(cut_short=True))
