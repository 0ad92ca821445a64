"""A list is read whole, or said to be read poorly and completed by rule (LESSONS F40, F53; DESIGN "Code decides, the model reads")."""

from __future__ import annotations

import pytest

from activities.directory_pages import COMPLETE_READ_SHARE, complete_directory_pages
from grounding.quotes import Grounder
from local.demo.listpages import GUIDE_HOSTS
from local.demo.world import DEFAULT_SEED, generate_world
from store.tools.tool_results import ToolResult
from web.directory_page import read_directory_page
from web.gateway import ToolGateway

LIST = f"http://{GUIDE_HOSTS['TX']}/texas/property-managers"


async def anyones(url: str) -> bool:
    """No other search of the run has asked for any page."""
    return True


def unlinked(names: list[str]) -> list[tuple[str, str | None]]:
    """Companies named without a link."""
    return [(name, None) for name in names]


@pytest.fixture
async def first_page(gateway: ToolGateway) -> ToolResult:
    """The first page of the Texas guide, as an agent has read it."""
    return await gateway.fetch_page(LIST)


async def pages_of_list(gateway: ToolGateway) -> list[list[str]]:
    """The names on each page of the list."""
    pages: list[list[str]] = []
    url: str | None = LIST
    while url is not None:
        page = await gateway.fetch_page(url)
        reading = read_directory_page(await gateway.page_body(page), url)
        pages.append([entry.name for entry in reading.entries])
        url = reading.next_url
    return pages


async def all_names(gateway: ToolGateway) -> list[str]:
    return [name for page in await pages_of_list(gateway) for name in page]


async def test_f53_a_list_of_which_an_agent_names_five_is_a_poor_read_and_completed(
    gateway: ToolGateway, first_page: ToolResult
) -> None:
    names = await all_names(gateway)
    readings = await complete_directory_pages(gateway, [first_page], unlinked(names[:5]), "TX", anyones)
    assert readings.incomplete_reads == 1
    assert [company.name for company in readings.companies] == names[5:]
    assert readings.listed == len(names)


async def test_pages_that_an_agent_left_out_are_read_to_the_end(gateway: ToolGateway, first_page: ToolResult) -> None:
    first, *others = await pages_of_list(gateway)
    readings = await complete_directory_pages(gateway, [first_page], unlinked(first), "TX", anyones)
    assert (readings.incomplete_reads, readings.extra_pages) == (0, len(others))
    assert {company.name for company in readings.companies} == {name for page in others for name in page} - set(first)


async def test_f51_pages_that_another_search_of_the_run_reads_are_left_to_it(
    gateway: ToolGateway, first_page: ToolResult
) -> None:
    async def first_alone(url: str) -> bool:
        return url == LIST

    readings = await complete_directory_pages(gateway, [first_page], [], "TX", first_alone)
    assert (readings.extra_pages, readings.results) == (0, {})
    assert len(readings.companies) == len((await pages_of_list(gateway))[0])


async def test_a_list_that_was_read_to_its_end_is_left_as_it_was_read(gateway: ToolGateway) -> None:
    pages = [await gateway.fetch_page(LIST)]
    while (
        following := read_directory_page(await gateway.page_body(pages[-1]), pages[-1].payload["final_url"]).next_url
    ) is not None:
        pages.append(await gateway.fetch_page(following))
    readings = await complete_directory_pages(gateway, pages, unlinked(await all_names(gateway)), "TX", anyones)
    assert (readings.companies, readings.incomplete_reads, readings.extra_pages) == ([], 0, 0)


async def test_what_an_agent_passed_over_of_a_list_it_mostly_named_is_left_to_it(
    gateway: ToolGateway, first_page: ToolResult
) -> None:
    names = await all_names(gateway)
    few = [name for index, name in enumerate(names) if index % 4]  # three of four: more than COMPLETE_READ_SHARE
    assert COMPLETE_READ_SHARE < 0.75
    readings = await complete_directory_pages(gateway, [first_page], unlinked(few), "TX", anyones)
    on_first = {entry.name for entry in read_directory_page(await gateway.page_body(first_page), LIST).entries}
    assert readings.incomplete_reads == 0
    assert on_first.isdisjoint(company.name for company in readings.companies)


async def test_what_is_added_has_its_words_on_the_page_and_invents_nothing(
    gateway: ToolGateway, first_page: ToolResult
) -> None:
    readings = await complete_directory_pages(gateway, [first_page], [], "TX", anyones)
    results = {first_page.result_id: first_page} | readings.results
    grounder = Grounder(results)
    truth = {company.name: company for company in generate_world(DEFAULT_SEED).companies}
    assert len(readings.companies) > 100
    for company in readings.companies:
        assert grounder.evidence("company", company.citation, values=[company.name]) is not None, company
        assert company.name in truth
        assert company.state is None, "the state asked for is no proof of where a company is"
        if company.url:
            assert company.url in results[company.citation.result_id].text
    in_texas = [
        c for c in readings.companies if truth[c.name].place.state == "TX" and truth[c.name].place.city == c.city
    ]
    assert len(in_texas) > 0.6 * len(readings.companies), "a city in the entry is understood"


async def test_a_companys_own_pages_are_no_lists(gateway: ToolGateway) -> None:
    sites = [company.website for company in generate_world(DEFAULT_SEED).companies if company.site_state == "alive"][
        :10
    ]
    pages = [await gateway.fetch_page(site) for site in sites if site]
    readings = await complete_directory_pages(gateway, pages, [], "TX", anyones)
    assert (readings.listed, readings.companies) == (0, [])
