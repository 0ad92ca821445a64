"""What a run for the same has searched shortly before is taken over: nothing is asked, read or paid twice (LESSONS F64)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import openai
import pytest

from activities.directory_pages import DirectoryReading
from activities.discovery import DiscoveryActivities, is_conclusive
from agents.loop import AgentAnswer, AgentRunner
from agents.roles.discovery import DiscoveryOutput
from domain.activity_io import SearchTaskInput, SearchTaskOutcome, SearchTaskRef
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
    """What one search of a run came to: its outcome and the companies stored, as (key, link, words that name it)."""

    outcome: SearchTaskOutcome
    found: list[tuple[str, str | None, str]]


_FIRST_TURN = """
    INSERT INTO agent_turns (run_id, subject, role, input_hash, turn, call_id, task, model, status, output, input_tokens,
                             output_tokens, cost_usd)
    SELECT %s, %s, role, input_hash, turn, gen_random_uuid(), task, model, status, output, input_tokens, output_tokens, cost_usd
    FROM agent_turns WHERE turn = 0
"""


class Search:
    """One search of the plan, to be run by one run after another."""

    def __init__(self, database: Database, gateway: ToolGateway, model: openai.AsyncOpenAI, settings: Settings) -> None:
        self.database, self.gateway, self.model, self.settings = database, gateway, model, settings

    async def by_a_new_run(self, *, retry_round: int = 0, has_begun: bool = False, **criteria: Any) -> Searched:
        """Have a new run do it; one that ``has_begun`` has paid for the first turn in an attempt that died."""
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
        steps = DiscoveryActivities(self.database, self.gateway, runner, self.settings)
        params = SearchTaskInput(request=request, task=task, retry_round=retry_round)
        outcome = await activity_environment().run(steps.discover, params)
        async with self.database.transaction() as conn:
            found = await list_candidates(conn, task.task_id)
        return Searched(outcome, [(each.candidate_key, each.url, each.evidence.quote) for each in found])

    async def age(self, by: timedelta) -> None:
        """Let time pass for what was searched."""
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


async def test_f64_a_run_for_the_same_takes_over_what_was_found_and_buys_nothing(search: Search) -> None:
    first = await search.by_a_new_run()
    assert first.outcome.spend.model_calls > 0
    assert len(first.found) > 5

    second = await search.by_a_new_run()

    assert second.found == first.found, "the same companies, with the words that prove them, in the same order"
    assert (second.outcome.named, second.outcome.new) == (len(first.found), len(first.found))
    assert second.outcome.spend.model_calls == 0
    assert second.outcome.spend.cost_usd == 0


async def test_it_holds_the_pages_that_were_read_so_that_no_other_search_reads_them_again(search: Search) -> None:
    await search.by_a_new_run()
    await search.by_a_new_run()
    async with search.database.transaction() as conn:
        cursor = await conn.execute(
            "SELECT run_id, array_agg(url ORDER BY url) AS urls FROM search_task_pages GROUP BY 1"
        )
        rows = await cursor.fetchall()
    assert len(rows) == 2
    assert rows[0]["urls"] == rows[1]["urls"] != []


async def test_f64_what_an_attempt_that_died_had_begun_to_buy_is_used_and_counted(search: Search) -> None:
    first = await search.by_a_new_run()
    second = await search.by_a_new_run(has_begun=True)
    assert second.outcome.spend.model_calls == first.outcome.spend.model_calls
    assert second.found == first.found


async def test_f64_it_is_as_old_as_the_search_and_not_as_the_run_that_took_it_over(search: Search) -> None:
    await search.by_a_new_run()
    await search.age(timedelta(hours=search.settings.search_ttl_hours / 2))
    assert (await search.by_a_new_run()).outcome.spend.model_calls == 0
    await search.age(timedelta(hours=search.settings.search_ttl_hours / 2))
    assert (await search.by_a_new_run()).outcome.spend.model_calls > 0


@pytest.mark.parametrize(
    "otherwise",
    [
        pytest.param({"suppress_domains": ["acme.example"]}, id="other_criteria"),
        pytest.param({"retry_round": 1}, id="a_person_wants_it_looked_at_anew"),
    ],
)
async def test_it_is_searched_anew_for_a_run_that_asks(search: Search, otherwise: dict[str, Any]) -> None:
    await search.by_a_new_run()
    assert (await search.by_a_new_run(**otherwise)).outcome.spend.model_calls > 0


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param({"openai_model": "another"}, id="another_model"),
        pytest.param({"search_ttl_hours": 0.0}, id="nothing_is_kept"),
    ],
)
async def test_it_is_searched_anew_under_other_settings(search: Search, setting: dict[str, Any]) -> None:
    await search.by_a_new_run()
    search.settings = search.settings.model_copy(update=setting)
    assert (await search.by_a_new_run()).outcome.spend.model_calls > 0


class OtherSearch(SearxngSearch):
    """The demo's search under another service's name."""

    name: ClassVar[SearchBackendName] = "brave"


async def test_what_another_search_service_found_is_not_this_ones_answer(
    search: Search, demo_web: WebClient, demo_search: SearxngSearch
) -> None:
    await search.by_a_new_run()
    other = OtherSearch(demo_search.client, demo_search.base_url)
    search.gateway = ToolGateway(search.database, demo_web, other, search.settings)
    assert (await search.by_a_new_run()).outcome.spend.model_calls > 0


def page_that(reason: str | None, **payload: Any) -> ToolResult:
    now = datetime.now(UTC)
    return ToolResult(
        result_id="r1", tool="fetch_page", args={}, status="error", reason=reason, payload=payload, fetched_at=now
    )


@pytest.mark.parametrize(
    ("answer", "settled"),
    [
        (AgentAnswer(DiscoveryOutput(companies=[]), "answered"), True),
        (AgentAnswer(DiscoveryOutput(companies=[]), "answered", {"r1": page_that("http_404")}), True),
        (AgentAnswer(DiscoveryOutput(companies=[]), "answered", {"r1": page_that("timeout", retry_in_s=5.0)}), False),
        (AgentAnswer(DiscoveryOutput(companies=[]), "answered", {"r1": page_that("rate_limit_timeout")}), False),
        (AgentAnswer(DiscoveryOutput(companies=[]), "answered", {"r1": page_that("connection_lost")}), False),
        (AgentAnswer(None, "limit"), False),
        (AgentAnswer(None, "cut_off"), False),
    ],
)
def test_only_an_answer_that_would_come_out_the_same_is_taken_over(answer: AgentAnswer, *, settled: bool) -> None:
    assert is_conclusive(answer, DirectoryReading()) is settled
    assert not is_conclusive(answer, DirectoryReading(cut_short=True))
