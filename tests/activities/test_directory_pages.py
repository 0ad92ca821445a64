"""Directory pages that an agent has read incompletely are completed by code."""

from __future__ import annotations

import pytest

from activities.directory_pages import COMPLETE_READ_SHARE, complete_directory_pages
from grounding.quotes import Grounder
from local.demo.listpages import GUIDE_HOSTS
from local.demo.world import DEFAULT_SEED, generate_world
from store.tools.tool_results import ToolResult
from web.directory_page import read_directory_page
from web.gateway import ToolGateway

DIRECTORY = f"http://{GUIDE_HOSTS['TX']}/texas/property-managers"


async def anyones(url: str) -> bool:
    return True


def unlinked(names: list[str]) -> list[tuple[str, str | None]]:
    return [(name, None) for name in names]


@pytest.fixture
async def first_page(gateway: ToolGateway) -> ToolResult:
    return await gateway.fetch_page(DIRECTORY)


async def directory_pages(gateway: ToolGateway) -> list[list[str]]:
    """The names on each page of the list."""
    pages: list[list[str]] = []
    url: str | None = DIRECTORY
    while url is not None:
        page = await gateway.fetch_page(url)
        reading = read_directory_page(await gateway.page_body(page), url)
        pages.append([entry.name for entry in reading.entries])
        url = reading.next_url
    return pages


async def all_names(gateway: ToolGateway) -> list[str]:
    return [name for page in await directory_pages(gateway) for name in page]


async def test_a_page_of_which_an_agent_names_few_is_completed(gateway: ToolGateway, first_page: ToolResult) -> None:
    names = await all_names(gateway)
    reading = await complete_directory_pages(gateway, [first_page], unlinked(names[:5]), "TX", anyones)
    assert reading.incomplete_reads == 1
    assert [company.name for company in reading.companies] == names[5:]
    assert reading.listed == len(names)


async def test_next_pages_are_read_to_the_end(gateway: ToolGateway, first_page: ToolResult) -> None:
    first, *others = await directory_pages(gateway)
    reading = await complete_directory_pages(gateway, [first_page], unlinked(first), "TX", anyones)
    assert (reading.incomplete_reads, reading.extra_pages) == (0, len(others))
    assert {company.name for company in reading.companies} == {name for page in others for name in page} - set(first)


async def test_pages_that_another_task_reads_are_left_to_it(gateway: ToolGateway, first_page: ToolResult) -> None:
    async def first_alone(url: str) -> bool:
        return url == DIRECTORY

    reading = await complete_directory_pages(gateway, [first_page], [], "TX", first_alone)
    assert (reading.extra_pages, reading.results) == (0, {})
    assert len(reading.companies) == len((await directory_pages(gateway))[0])


async def test_a_directory_read_to_its_end_is_left_alone(gateway: ToolGateway) -> None:
    pages = [await gateway.fetch_page(DIRECTORY)]
    while (
        following := read_directory_page(await gateway.page_body(pages[-1]), pages[-1].payload["final_url"]).next_url
    ) is not None:
        pages.append(await gateway.fetch_page(following))
    reading = await complete_directory_pages(gateway, pages, unlinked(await all_names(gateway)), "TX", anyones)
    assert (reading.companies, reading.incomplete_reads, reading.extra_pages) == ([], 0, 0)


async def test_few_missing_companies_are_the_agents_judgement(gateway: ToolGateway, first_page: ToolResult) -> None:
    names = await all_names(gateway)
    few = [name for index, name in enumerate(names) if index % 4]  # three of four: more than COMPLETE_READ_SHARE
    assert COMPLETE_READ_SHARE < 0.75
    reading = await complete_directory_pages(gateway, [first_page], unlinked(few), "TX", anyones)
    on_first = {entry.name for entry in read_directory_page(await gateway.page_body(first_page), DIRECTORY).entries}
    assert reading.incomplete_reads == 0
    assert on_first.isdisjoint(company.name for company in reading.companies)


async def test_added_companies_are_quoted_from_the_page(gateway: ToolGateway, first_page: ToolResult) -> None:
    reading = await complete_directory_pages(gateway, [first_page], [], "TX", anyones)
    results = {first_page.result_id: first_page} | reading.results
    grounder = Grounder(results)
    truth = {company.name: company for company in generate_world(DEFAULT_SEED).companies}
    assert len(reading.companies) > 100
    for company in reading.companies:
        assert grounder.attempt("company", grounder.prove, company.citation, values=[company.name]) is not None, company
        assert company.name in truth
        assert company.state is None, "the page does not say it"
        if company.url:
            assert company.url in results[company.citation.result_id].text
    in_texas = [
        c for c in reading.companies if truth[c.name].place.state == "TX" and truth[c.name].place.city == c.city
    ]
    assert len(in_texas) > 0.6 * len(reading.companies), "the entry names the city"


async def test_company_sites_are_not_directories(gateway: ToolGateway) -> None:
    sites = [company.website for company in generate_world(DEFAULT_SEED).companies if company.site_state == "alive"][
        :10
    ]
    pages = [await gateway.fetch_page(site) for site in sites if site]
    reading = await complete_directory_pages(gateway, pages, [], "TX", anyones)
    assert (reading.listed, reading.companies) == (0, [])
