"""List pages read whole: what an agent named is held against what stands on the page, and missing pages are read on.

An agent that names five of forty companies has read poorly (LESSONS F40, F53): the rest is taken by rule from the same
stored page, once. Pages that go on with a list, and that the agent left out, are read in the same way.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from agents.discovery import FoundCompany
from agents.grounding import contains, page_url, without_links
from agents.tool_calls import ClaimPage
from domain.evidence import Citation
from domain.identity import comparable_name
from domain.places import city_in
from store.tool_results import ToolResult
from tools.gateway import ToolGateway, normalised_url
from tools.list_page import LIST_ENTRIES_MIN, ListEntry, read_list

log = structlog.get_logger()

POOR_READ_SHARE = 0.5
"""A list of which less than this is named has been read poorly: half, so that a list of another trade is left alone."""
_PAGES_MORE_MAX = 20  # of one list; 20 pages of 25 are far more than a city or association has
_QUOTE_MAX = 300


@dataclass
class ListReadings:
    """What the lists of one search task came to.

    Attributes:
        listed: companies standing on the list pages that were read.
        poor_reads: pages of which the agent named too few.
        pages_more: pages of lists that the agent had not read.
        companies: those that were missing, in page order, as an agent would name them.
        results: the pages that were read in addition, by result id.
        taken: name and link of each of ``companies``: two firms of one name differ in their link.
    """

    listed: int = 0
    poor_reads: int = 0
    pages_more: int = 0
    companies: list[FoundCompany] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)
    taken: set[tuple[str, str | None]] = field(default_factory=set)


async def read_lists_whole(
    gateway: ToolGateway,
    results: Iterable[ToolResult],
    known_names: Iterable[str],
    state: str | None,
    claim_page: ClaimPage,
) -> ListReadings:
    """Check every list page among the results and complete what was left out.

    Args:
        known_names: what the agent named, and what the run had found before, which an agent need not name again.
        state: of the search task; cities in the entries are understood as its cities.
        claim_page: whether a page is this task's to read, or another's.
    """
    readings = ListReadings()
    known = {comparable_name(name) for name in known_names}
    pages = [result for result in results if result.tool == "fetch_page" and result.status == "ok"]
    read = {normalised_url(url) for page in pages for url in (page_url(page), str(page.args.get("url", "")))}
    for page in pages:
        await _check(gateway, page, readings, known, read, state, claim_page)
    return readings


async def _check(
    gateway: ToolGateway,
    page: ToolResult,
    readings: ListReadings,
    known: set[str],
    read: set[str],
    state: str | None,
    claim_page: ClaimPage,
) -> None:
    list_ = read_list(await gateway.page_body(page), page_url(page))
    if len(list_.entries) < LIST_ENTRIES_MIN:
        return
    readings.listed += len(list_.entries)
    missing = [entry for entry in list_.entries if comparable_name(entry.name) not in known]
    if len(missing) > (1 - POOR_READ_SHARE) * len(list_.entries):
        readings.poor_reads += 1
        log.warning("list_read_poorly", result_id=page.result_id, listed=len(list_.entries), missing=len(missing))
        _take(page, missing, readings, known, state)
    following = list_.next_url
    for _ in range(_PAGES_MORE_MAX):
        if following is None or normalised_url(following) in read:
            return
        read.add(normalised_url(following))
        if not await claim_page(normalised_url(following)):
            return
        more = await gateway.fetch_page(following)
        if more.status != "ok":
            return
        readings.pages_more += 1
        readings.results[more.result_id] = more
        list_ = read_list(await gateway.page_body(more), page_url(more))
        readings.listed += len(list_.entries)
        _take(more, list_.entries, readings, known, state)
        following = list_.next_url


def _take(
    page: ToolResult, entries: Iterable[ListEntry], readings: ListReadings, known: set[str], state: str | None
) -> None:
    for entry in entries:
        if comparable_name(entry.name) in known or (entry.name, entry.url) in readings.taken:
            continue
        readings.taken.add((entry.name, entry.url))
        readings.companies.append(
            FoundCompany(
                name=entry.name,
                url=entry.url,
                city=city_in(entry.text.replace(entry.name, " "), state) if state else None,
                state=None,  # that of the task is what was asked for, not what the page says
                phone=entry.phone,
                citation=Citation(result_id=page.result_id, quote=_quote(page, entry)),
            )
        )


def _quote(page: ToolResult, entry: ListEntry) -> str:
    for line in page.text.split("\n"):
        if contains(line, entry.name):
            return line if len(line) <= _QUOTE_MAX else entry.name
    return without_links(entry.name)
