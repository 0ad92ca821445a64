"""Pages that are opened for the model in advance, and the follow-up question with more of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from agents import tool_outputs
from agents.loop import FollowUp
from agents.roles import company_research
from agents.roles.company_research import ResearchOutput
from agents.site_pages import CONTACT_PAGES, RESEARCH_PAGES, choose_pages
from domain.company.status import Interruption
from domain.request.run_request import Limits
from local.demo.world import DEFAULT_SEED, generate_world
from store.database import Database
from store.tools.tool_results import ToolResult
from tests.agents.conftest import Scripted
from tests.agents.scripted_model import EMPTY_RESEARCH, calls, fails, opens, refuses, says
from tests.store.rows import add_run
from web.gateway import ToolGateway

HOST, PAGES = next(
    (host, [f"http://{host}{path}" for path in site.pages])
    for host, site in generate_world(DEFAULT_SEED).sites.items()
    if site.behaviour == "pages" and len(site.pages) > 6 and next(iter(site.pages)) == "/"
)
HOME, SECOND, THIRD = PAGES[:3]
GONE = f"http://{HOST}/no-such-page"
UNITS = {"value": 120, "citation": {"result_id": "r1", "quote": "120 homes"}}
LISTINGS = {"value": 12, "citation": {"result_id": "r1", "quote": "12 homes"}}


def asks(*pages: str) -> Callable[[BaseModel, Mapping[str, ToolResult]], FollowUp | None]:
    """A follow-up question about the units, whatever the answer."""
    return lambda answer, results: FollowUp("How many units?", ("units", "listings"), pages)


@pytest.mark.parametrize("page_kinds", [RESEARCH_PAGES, CONTACT_PAGES], ids=["research", "contacts"])
async def test_home_page_and_best_page_of_each_kind_are_chosen(
    gateway: ToolGateway, page_kinds: tuple[str, ...]
) -> None:
    first, *others = await choose_pages(gateway, [HOME], page_kinds, frozenset({HOST}))
    assert first == HOME
    assert 2 <= len(others) <= len(page_kinds) and set(others) <= set(PAGES), "a kind without a page is skipped"


async def test_preloaded_pages_look_like_tool_calls(model: Scripted, run_id: UUID) -> None:
    async with model(says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, preload=(HOME, SECOND))
        task, *items = server.asked(0)["input"]
        home, second = server.tool_outputs(0)
    assert task == {"role": "user", "content": '{"task": "company_research"}'}
    assert [item["type"] for item in items] == ["function_call"] * 2 + ["function_call_output"] * 2
    assert [json.loads(item["arguments"])["url"] for item in items[:2]] == [HOME, SECOND]
    assert [item["call_id"] for item in items[:2]] == [item["call_id"] for item in items[2:]]
    assert (home["status"], second["status"]) == ("ok", "ok")
    assert home["text"].startswith(f"<untrusted-{home['result_id']}>\n"), "fenced, as every page is"
    assert set(answer.results) == {home["result_id"], second["result_id"]}, "what was shown can be quoted"
    assert (answer.stop, answer.spend.model_calls) == ("answered", 1)


async def test_preloaded_pages_allow_their_links_and_count_no_call(model: Scripted, run_id: UUID) -> None:
    many = calls(*(("fetch_page", {"url": url}) for url in PAGES[1:4]))
    role = dataclasses.replace(company_research.ROLE, tool_calls_max=3)
    async with model(many, says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, role=role, preload=(HOME,))
        assert [output["status"] for output in server.tool_outputs()] == ["ok"] * 4


async def test_preloaded_pages_are_limited_and_unreadable_ones_skipped(
    model: Scripted, run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with model(says(EMPTY_RESEARCH), says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, preload=(HOME, GONE, HOME, *PAGES), subject="company 1")
        assert [output["url"] for output in server.tool_outputs(0)] == [HOME, *PAGES[1:4]]
        monkeypatch.setattr(tool_outputs, "PRELOADED_CHARACTERS_MAX", 100)
        await server.run(run_id, preload=(HOME, SECOND), subject="company 2")
        assert [output["url"] for output in server.tool_outputs(1)] == [HOME], "the first, however long it is"


@pytest.mark.parametrize("change", [(), (THIRD, SECOND, HOME)], ids=["none", "others"])
async def test_a_retry_shows_the_pages_it_began_with(model: Scripted, run_id: UUID, change: tuple[str, ...]) -> None:
    async with model(opens(THIRD), fails(500), says(EMPTY_RESEARCH)) as server:
        with pytest.raises(ApplicationError):
            await server.run(run_id, preload=(HOME, GONE, SECOND))
        answer = await server.run(run_id, runner=server.new_worker(), preload=change)
        assert server.asked(1)["input"] == server.asked(2)["input"]
        assert server.bought == 3
    assert answer.spend.model_calls == 2


async def test_follow_up_opens_its_pages_and_changes_only_its_fields(model: Scripted, run_id: UUID) -> None:
    first = {**EMPTY_RESEARCH, "employees": UNITS, "listings": LISTINGS}
    second = {**EMPTY_RESEARCH, "units": UNITS, "employees": LISTINGS}
    async with model(says(first), says(second)) as server:
        answer = await server.run(run_id, preload=(HOME,), follow_up=asks(SECOND))
        assert server.bought == 2
        assert server.asked(1)["input"][-1] == {"role": "user", "content": "How many units?"}
        assert [output["url"] for output in server.tool_outputs(1)] == [HOME, SECOND]
        again = await server.run(run_id, preload=(HOME,), follow_up=asks(SECOND))
        assert server.bought == 2, "both turns are stored"
    assert answer.output == ResearchOutput.model_validate({**first, "units": UNITS})
    assert again == answer


async def test_follow_up_without_a_readable_page_is_not_bought(model: Scripted, run_id: UUID) -> None:
    first = {**EMPTY_RESEARCH, "employees": UNITS}
    async with model(says(first), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, preload=(HOME,), follow_up=asks(GONE))
        assert server.bought == answer.spend.model_calls == 1
    assert (answer.stop, answer.output) == ("answered", ResearchOutput.model_validate(first))


@pytest.mark.parametrize(
    "script",
    [(says("Sure!"), says("Sure!")), (refuses(),), (opens(SECOND),) * 7],
    ids=["unreadable", "refused", "endless reading"],
)
async def test_the_first_answer_stands_if_the_follow_up_fails(
    model: Scripted, run_id: UUID, script: tuple[Any, ...]
) -> None:
    first = {**EMPTY_RESEARCH, "employees": UNITS}
    async with model(says(first), *script) as server:
        answer = await server.run(run_id, preload=(HOME,), follow_up=asks())
    assert (answer.stop, answer.output) == ("answered", ResearchOutput.model_validate(first))


async def test_a_budget_that_ends_before_the_follow_up_interrupts(model: Scripted, database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn, limits=Limits(max_model_calls=1))).run_id
    async with model(says(EMPTY_RESEARCH)) as server:
        for _ in range(2):
            answer = await server.run(run_id, preload=(HOME,), follow_up=asks(SECOND))
            assert (answer.interruption, answer.spend.model_calls) == (Interruption.BUDGET_REACHED, 1)
            assert server.bought == 1, "the first answer is kept"
