"""Pages opened for the model beforehand, and the one more question that an answer may be followed by."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
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
from settings import Settings
from store.database import Database
from store.tools.tool_results import ToolResult
from tests.agents.scripted_model import EMPTY_RESEARCH, Model, calls, fails, opens, refuses, says, scripted
from tests.store.rows import add_run
from web.gateway import ToolGateway

Scripted = Callable[..., AbstractAsyncContextManager[Model]]
HOST, PAGES = next(
    (host, [f"http://{host}{path}" for path in site.pages])
    for host, site in generate_world(DEFAULT_SEED).sites.items()
    if site.behaviour == "pages" and len(site.pages) > 6 and next(iter(site.pages)) == "/"
)
HOME, SECOND, THIRD = PAGES[:3]
GONE = f"http://{HOST}/no-such-page"
UNITS = {"value": 120, "citation": {"result_id": "r1", "quote": "120 homes"}}
LISTINGS = {"value": 12, "citation": {"result_id": "r1", "quote": "12 homes"}}


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


@pytest.fixture
def model(database: Database, gateway: ToolGateway, settings: Settings) -> Scripted:
    return partial(scripted, database, gateway, settings)


def asks(*pages: str) -> Callable[[BaseModel, Mapping[str, ToolResult]], FollowUp | None]:
    """One more question about the units, whatever was answered."""
    return lambda answer, results: FollowUp("How many units?", ("units", "listings"), pages)


@pytest.mark.parametrize("sorts", [RESEARCH_PAGES, CONTACT_PAGES], ids=["research", "contacts"])
async def test_what_is_opened_is_the_home_page_and_the_best_page_of_each_sort(
    gateway: ToolGateway, sorts: tuple[str, ...]
) -> None:
    first, *others = await choose_pages(gateway, [HOME], sorts, frozenset({HOST}))
    assert first == HOME
    assert 2 <= len(others) <= len(sorts) and set(others) <= set(PAGES), "a sort that the site has not is left out"
    for url in others:
        assert (await gateway.fetch_page(url)).status == "ok"


async def test_known_pages_stand_in_the_first_request_as_if_they_had_been_asked_for(
    model: Scripted, run_id: UUID
) -> None:
    async with model(says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, preload_urls=(HOME, SECOND))
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


async def test_what_a_page_opened_beforehand_links_to_may_be_opened_and_counts_no_call(
    model: Scripted, run_id: UUID
) -> None:
    many = calls(*(("fetch_page", {"url": url}) for url in PAGES[1:4]))
    role = dataclasses.replace(company_research.ROLE, tool_calls_max=3)
    async with model(many, says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, role=role, preload_urls=(HOME,))
        assert [output["status"] for output in server.tool_outputs()] == ["ok"] * 4


async def test_pages_are_bounded_in_number_and_characters_and_those_that_cannot_be_read_are_left_out(
    model: Scripted, run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with model(says(EMPTY_RESEARCH), says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, preload_urls=(HOME, GONE, HOME, *PAGES), subject="company 1")
        assert [output["url"] for output in server.tool_outputs(0)] == [HOME, *PAGES[1:4]]
        monkeypatch.setattr(tool_outputs, "OPENED_CHARACTERS_MAX", 100)
        await server.run(run_id, preload_urls=(HOME, SECOND), subject="company 2")
        assert [output["url"] for output in server.tool_outputs(1)] == [HOME], "the first, however long it is"


@pytest.mark.parametrize("change", [(), (THIRD, SECOND, HOME)], ids=["none", "others"])
async def test_f24_a_retry_on_another_worker_goes_on_with_the_pages_it_was_begun_with(
    model: Scripted, run_id: UUID, change: tuple[str, ...]
) -> None:
    async with model(opens(THIRD), fails(500), says(EMPTY_RESEARCH)) as server:
        with pytest.raises(ApplicationError):
            await server.run(run_id, preload_urls=(HOME, GONE, SECOND))
        answer = await server.run(run_id, runner=server.new_worker(), preload_urls=change)
        assert server.asked(1)["input"] == server.asked(2)["input"]
        assert server.bought == 3
    assert answer.spend.model_calls == 2


async def test_an_answer_that_will_do_is_followed_by_no_further_turn(model: Scripted, run_id: UUID) -> None:
    async with model(says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, preload_urls=(HOME,), follow_up=lambda answer, results: None)
        assert (answer.stop, server.bought) == ("answered", 1)


async def test_one_more_question_opens_its_pages_and_takes_only_the_fields_it_asked_for(
    model: Scripted, run_id: UUID
) -> None:
    first = {**EMPTY_RESEARCH, "employees": UNITS, "listings": LISTINGS}
    second = {**EMPTY_RESEARCH, "units": UNITS, "employees": LISTINGS}
    async with model(says(first), says(second)) as server:
        answer = await server.run(run_id, preload_urls=(HOME,), follow_up=asks(SECOND))
        assert server.bought == 2
        assert server.asked(1)["input"][-1] == {"role": "user", "content": "How many units?"}
        assert [output["url"] for output in server.tool_outputs(1)] == [HOME, SECOND]
        again = await server.run(run_id, preload_urls=(HOME,), follow_up=asks(SECOND))
        assert server.bought == 2, "asked again, both turns are stored"
    assert answer.output == ResearchOutput.model_validate({**first, "units": UNITS})
    assert again == answer


async def test_one_more_question_whose_pages_cannot_be_read_is_not_bought(model: Scripted, run_id: UUID) -> None:
    first = {**EMPTY_RESEARCH, "employees": UNITS}
    async with model(says(first), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, preload_urls=(HOME,), follow_up=asks(GONE))
        assert server.bought == 1, "there is nothing new to answer from"
    assert (answer.stop, answer.output) == ("answered", ResearchOutput.model_validate(first))
    assert answer.spend.model_calls == 1


@pytest.mark.parametrize(
    "script",
    [(says("Sure!"), says("Sure!")), (refuses(),), (opens(SECOND),) * 7],
    ids=["unreadable", "refused", "no end of reading"],
)
async def test_without_an_answer_to_one_more_question_the_first_stands(
    model: Scripted, run_id: UUID, script: tuple[Any, ...]
) -> None:
    first = {**EMPTY_RESEARCH, "employees": UNITS}
    async with model(says(first), *script) as server:
        answer = await server.run(run_id, preload_urls=(HOME,), follow_up=asks())
    assert (answer.stop, answer.output) == ("answered", ResearchOutput.model_validate(first))


async def test_a_budget_that_ends_before_one_more_question_interrupts_and_keeps_the_answer_for_later(
    model: Scripted, database: Database
) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn, limits=Limits(max_model_calls=1))).run_id
    async with model(says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, preload_urls=(HOME,), follow_up=asks(SECOND))
        assert (answer.interruption, answer.spend.model_calls) == (Interruption.BUDGET_REACHED, 1)
        await server.run(run_id, preload_urls=(HOME,), follow_up=asks(SECOND))
        assert server.bought == 1
