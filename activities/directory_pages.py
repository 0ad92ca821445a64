"""Complete what an agent has read from directory pages.

If the agent named too few of the companies on a page, code adds the rest from the same stored page. Code also reads the
pages on which a directory goes on, if the agent has not.
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

COMPLETE_READ_SHARE = 0.5
"""An agent that names this share of a page has read it; what it left out was its judgement."""
_EXTRA_PAGES_MAX = 20  # of one directory; 20 pages of 25 are far more than a city or association has
_QUOTE_MAX = 300

Mention = tuple[str, str | None]
"""A company's name and link."""


@dataclass
class DirectoryReading:
    """What the directory pages of one search task came to."""

    listed: int = 0  # companies on all pages
    incomplete_reads: int = 0  # pages of which the agent named too few
    extra_pages: int = 0  # pages that the agent had not read
    companies: list[FoundCompany] = field(default_factory=list)  # the missing ones, in page order
    results: dict[str, ToolResult] = field(default_factory=dict)  # the extra pages by result id
    cut_short: bool = False  # a next page could not be read now, but may be readable later


async def complete_directory_pages(
    gateway: ToolGateway,
    results: Iterable[ToolResult],
    mentions: Iterable[Mention],
    state: str | None,
    claim_page: ClaimPage,
) -> DirectoryReading:
    """Check every directory page among the results, and add what is missing.

    Args:
        mentions: companies that the agent has named, and those that the run had before.
        state: of the search task; cities in the entries are looked up in it.
        claim_page: whether a page is this task's to read, or another's.
    """
    reading, known = DirectoryReading(), _KnownCompanies(mentions)
    pages = [result for result in results if result.tool == "fetch_page" and result.status == "ok"]
    read = {normalised_url(url) for page in pages for url in (page.final_url, str(page.args.get("url", "")))}
    for page in pages:
        directory = read_directory_page(await gateway.page_body(page), page.final_url)
        if len(directory.entries) < DIRECTORY_ENTRIES_MIN:
            continue
        entries = _property_managers(directory)
        missing = [entry for entry in entries if entry not in known]
        reading.listed += len(entries)
        if len(missing) > (1 - COMPLETE_READ_SHARE) * len(entries):
            reading.incomplete_reads += 1
            log.warning(
                "directory_page_incomplete", result_id=page.result_id, listed=len(entries), missing=len(missing)
            )
            reading.companies += _new_companies(page, missing, known, state)
        next_url = directory.next_url
        for _ in range(_EXTRA_PAGES_MAX):
            if next_url is None or normalised_url(next_url) in read:
                break
            read.add(normalised_url(next_url))
            extra = await gateway.fetch_page(next_url)
            reading.cut_short = reading.cut_short or may_succeed_later(extra)
            if extra.status != "ok" or not await claim_page(normalised_url(next_url)):
                break
            directory = read_directory_page(await gateway.page_body(extra), extra.final_url)
            reading.extra_pages += 1
            reading.results[extra.result_id] = extra
            reading.listed += len(directory.entries)
            reading.companies += _new_companies(extra, _property_managers(directory), known, state)
            next_url = directory.next_url
    return reading


class _KnownCompanies:
    """Companies that need not be named again: by site, or by name if one of the two has no link.

    Two firms of one name with different sites are two companies.
    """

    def __init__(self, mentions: Iterable[Mention]) -> None:
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

    def __contains__(self, entry: DirectoryEntry) -> bool:
        site, name = _site(entry.url), normalized_company_name(entry.name)
        return name in self._names if site is None else site in self._sites or name in self._names_without_site


def _site(url: str | None) -> str | None:
    account = portal_account(url) if url else None
    return f"{account.vendor}:{account.slug}" if account else registrable_domain(url) if url else None


def _property_managers(directory: DirectoryPage) -> tuple[DirectoryEntry, ...]:
    """All entries of a directory of property managers; of another one (a chamber's members), those named like one."""
    if directory.lists_property_managers:
        return directory.entries
    return tuple(entry for entry in directory.entries if entry.is_property_manager)


def _new_companies(
    page: ToolResult, entries: Iterable[DirectoryEntry], known: _KnownCompanies, state: str | None
) -> list[FoundCompany]:
    lines = [(line, SearchableText(line)) for line in page.text.split("\n")]
    found: list[FoundCompany] = []
    for entry in entries:
        if entry in known:
            continue
        known.add(entry.name, entry.url)
        name = normalized(entry.name)
        quotes = (line for line, words in lines if words.contains_normalized(name) and len(line) <= _QUOTE_MAX)
        found.append(
            FoundCompany(
                name=entry.name,
                url=entry.url,
                city=city_in(entry.text.replace(entry.name, " ").strip(), state) if state else None,
                state=None,  # the task's state was asked for; the page does not say it
                phone=entry.phone,
                citation=Citation(result_id=page.result_id, quote=next(quotes, entry.name)),
            )
        )
    return found
