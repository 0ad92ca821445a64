"""Complete an agent's reading of directory pages.

If the agent named too few companies of a page, code adds the others. Code also reads the directory's next pages.
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
"""If an agent named this share of a page's companies, it left out the others on purpose."""
_EXTRA_PAGES_MAX = 20  # per directory; no city or association fills 20 pages of 25 companies
_QUOTE_MAX = 300

Mention = tuple[str, str | None]
"""A company's name and link."""


@dataclass
class DirectoryReading:
    listed: int = 0  # companies on all pages
    incomplete_reads: int = 0  # pages where the agent named too few
    extra_pages: int = 0  # pages that only code read
    companies: list[FoundCompany] = field(default_factory=list)  # companies that the agent missed, in page order
    results: dict[str, ToolResult] = field(default_factory=dict)  # extra pages by result id
    cut_short: bool = False  # a next page failed, but may succeed later


async def complete_directory_pages(
    gateway: ToolGateway,
    results: Iterable[ToolResult],
    mentions: Iterable[Mention],
    state: str | None,
    claim_page: ClaimPage,
) -> DirectoryReading:
    """Find the companies that the agent missed on directory pages.

    Args:
        mentions: companies that the agent named or the run already had.
        state: the state in which to look up cities of the entries.
        claim_page: claims a page for this task. Returns False if another task claimed it first.
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
    """Companies already named. They match by site, or by name if either has no link.

    Two companies with the same name and different sites are different.
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
    """Return the entries that are property managers. A directory of property managers has no others."""
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
                state=None,  # the page does not state it; the task's state is only what we searched
                phone=entry.phone,
                citation=Citation(result_id=page.result_id, quote=next(quotes, entry.name)),
            )
        )
    return found
