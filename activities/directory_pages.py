"""List pages read whole: what an agent named is held against what stands on the page, and missing pages are read on.

An agent that names five of forty companies has read poorly (LESSONS F40, F53): the rest is taken by rule from the same
stored page, once. Pages that go on with a list, and that the agent left out, are read in the same way.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from agents.roles.discovery import FoundCompany
from agents.tool_calls import ClaimPage
from domain.company.hosts import registrable_domain
from domain.company.identity import normalized_company_name
from domain.company.places import city_in
from domain.evidence import Citation
from grounding.quotes import SearchableText, normalized
from pms.rules import portal_account
from store.tools.tool_results import ToolResult
from web.directory_page import DIRECTORY_ENTRIES_MIN, DirectoryEntry, DirectoryPage, read_directory_page
from web.gateway import ToolGateway, may_succeed_later, normalised_url

log = structlog.get_logger()

POOR_READ_SHARE = 0.5
"""A list of which less than this is named has been read poorly. An agent that names half or more has read the page, and what
it passed over was its judgement."""
_PAGES_MORE_MAX = 20  # of one list; 20 pages of 25 are far more than a city or association has
_QUOTE_MAX = 300


@dataclass
class ListReadings:
    """What the lists of one search task came to.

    Attributes:
        listed: companies standing on the list pages that were read.
        incomplete_reads: pages of which the agent named too few.
        pages_more: pages of lists that the agent had not read.
        companies: those that were missing, in page order, as an agent would name them.
        results: the pages that were read in addition, by result id.
        cut_short: a list goes on, on a page that could not be read now and may be back.
    """

    listed: int = 0
    incomplete_reads: int = 0
    pages_more: int = 0
    companies: list[FoundCompany] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)
    cut_short: bool = False


class _Known:
    """Who need not be named again: by the link's site, and by name where one of the two has no link.

    Two firms of one name, each with a site of its own, are two.
    """

    def __init__(self, mentions: Iterable[tuple[str, str | None]]) -> None:
        self._sites: set[str] = set()
        self._names: set[str] = set()
        self._names_without_site: set[str] = set()
        for name, url in mentions:
            self.add(name, url)

    def add(self, name: str, url: str | None) -> None:
        site = _site(url)
        self._names.add(normalized_company_name(name))
        if site is None:
            self._names_without_site.add(normalized_company_name(name))
        else:
            self._sites.add(site)

    def holds(self, entry: DirectoryEntry) -> bool:
        site = _site(entry.url)
        if site is not None:
            return site in self._sites or normalized_company_name(entry.name) in self._names_without_site
        return normalized_company_name(entry.name) in self._names


def _site(url: str | None) -> str | None:
    account = portal_account(url) if url else None
    return f"{account.vendor}:{account.slug}" if account else registrable_domain(url) if url else None


async def read_lists_whole(
    gateway: ToolGateway,
    results: Iterable[ToolResult],
    mentions: Iterable[tuple[str, str | None]],
    state: str | None,
    claim_page: ClaimPage,
) -> ListReadings:
    """Check every list page among the results and complete what was left out.

    Args:
        mentions: name and link of what the agent named, and of what the run had found before, which an agent need not
            name again.
        state: of the search task; cities in the entries are understood as its cities.
        claim_page: whether a page is this task's to read, or another's.
    """
    readings, known = ListReadings(), _Known(mentions)
    pages = [result for result in results if result.tool == "fetch_page" and result.status == "ok"]
    read = {normalised_url(url) for page in pages for url in (page.final_url, str(page.args.get("url", "")))}
    for page in pages:
        following = await _check(gateway, page, readings, known, state)
        for _ in range(_PAGES_MORE_MAX):
            if following is None or normalised_url(following) in read:
                break
            read.add(normalised_url(following))
            more = await gateway.fetch_page(following)
            readings.cut_short = readings.cut_short or may_succeed_later(more)
            if more.status != "ok" or not await claim_page(normalised_url(following)):
                break
            readings.pages_more += 1
            readings.results[more.result_id] = more
            list_ = read_directory_page(await gateway.page_body(more), more.final_url)
            readings.listed += len(list_.entries)
            _take(more, list_.entries if list_.lists_property_managers else _of_trade(list_), readings, known, state)
            following = list_.next_url
    return readings


async def _check(
    gateway: ToolGateway, page: ToolResult, readings: ListReadings, known: _Known, state: str | None
) -> str | None:
    """Hold one page against what is known; the address where its list goes on, if it is one."""
    list_ = read_directory_page(await gateway.page_body(page), page.final_url)
    if len(list_.entries) < DIRECTORY_ENTRIES_MIN:
        return None
    # Of a list of another trade (a chamber's members) only those count whose own name says that they manage homes.
    entries = list_.entries if list_.lists_property_managers else _of_trade(list_)
    readings.listed += len(entries)
    missing = [entry for entry in entries if not known.holds(entry)]
    if len(missing) > (1 - POOR_READ_SHARE) * len(entries):
        readings.incomplete_reads += 1
        log.warning("list_read_poorly", result_id=page.result_id, listed=len(entries), missing=len(missing))
        _take(page, missing, readings, known, state)
    return list_.next_url


def _of_trade(list_: DirectoryPage) -> tuple[DirectoryEntry, ...]:
    return tuple(entry for entry in list_.entries if entry.is_property_manager)


def _take(
    page: ToolResult, entries: Iterable[DirectoryEntry], readings: ListReadings, known: _Known, state: str | None
) -> None:
    lines = [(line, SearchableText(line)) for line in page.text.split("\n")]
    for entry in entries:
        if known.holds(entry):
            continue
        known.add(entry.name, entry.url)
        readings.companies.append(
            FoundCompany(
                name=entry.name,
                url=entry.url,
                city=city_in(entry.text.replace(entry.name, " ").strip(), state) if state else None,
                state=None,  # that of the task is what was asked for, not what the page says
                phone=entry.phone,
                citation=Citation(result_id=page.result_id, quote=_quote(lines, entry)),
            )
        )


def _quote(lines: list[tuple[str, SearchableText]], entry: DirectoryEntry) -> str:
    wanted = normalized(entry.name)
    for line, words in lines:
        if words.holds(wanted) and len(line) <= _QUOTE_MAX:
            return line
    return entry.name
