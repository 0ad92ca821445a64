"""Which pages of a company's own site to open for an agent before it is asked, and which are left when something is missing.

Chosen by the words of links, without any model: what is picked here is paid for as input of one turn, what is not may still
be opened by the model.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from domain.company.hosts import registrable_domain
from store.tools.tool_results import ToolResult
from web.company_site import raise_if_unavailable
from web.gateway import ToolGateway, normalised_url

RESEARCH_PAGES = (
    "about|story|company|who|what",
    "owner|landlord|investor|service|management|manage",
    "available|rental|listing|homes|portfolio|properties",
)
"""Sorts of pages that tell what a company manages and how much of it, best first; each the beginnings of a link's words."""
CONTACT_PAGES = (
    "team|staff|people|leadership|meet|agents|directory",
    "about|story|company|who",
    "contact|touch|office|location",
)
"""Sorts of pages that name people and how to reach them, best first."""

_LINK = re.compile(r"\[([^\]\[\n]*)\]\((https?://[^)\s]+)\)")
_NOT_WANTED = re.compile(
    r"\.(?:pdf|jpe?g|png|gif|svg|webp|zip|docx?|xlsx?|ics|css|js|xml)$|/(?:wp-|feed\b|blog|news|tag|category|cart|search\b)"
    r"|log-?in|sign-?in|portal|privacy|terms|apply|application|pay\b|\bpay-",
    re.IGNORECASE,
)


async def choose_pages(
    gateway: ToolGateway,
    known: Sequence[str],
    sorts: Sequence[str],
    company_domains: frozenset[str],
    *,
    is_last_attempt: bool = False,
) -> list[str]:
    """Addresses to open beforehand, best first: the home page, then the best page of each sort that is known or linked to.
    They have been asked for, and come from the cache.

    Args:
        known: pages that code has read, home page first; they come from the cache.
        sorts: ``RESEARCH_PAGES`` or ``CONTACT_PAGES``.
        is_last_attempt: the step is not tried again, so it goes on without pages that may be there later.

    Raises:
        SiteUnavailableError: one of all these pages failed for a reason that may pass; unless ``is_last_attempt``.
    """
    results = [await gateway.fetch_page(url, retry=is_last_attempt) for url in known]
    linked = _by_sort(results, sorts, company_domains, asked=known[:1])
    best = list(dict.fromkeys(urls[0] for urls in linked if urls))
    results += [await gateway.fetch_page(url, retry=is_last_attempt) for url in best]
    if not is_last_attempt:
        raise_if_unavailable(results)
    return [*known[:1], *best]


def unread_pages(
    results: Mapping[str, ToolResult], sorts: Sequence[str], company_domains: frozenset[str], maximum: int
) -> list[str]:
    """Addresses of the sorts that the pages read link to and nobody has opened yet, best first."""
    asked = [str(address) for each in results.values() for address in (each.args.get("url"), each.final_url) if address]
    linked = _by_sort([*results.values()], sorts, company_domains, asked=asked)
    return list(dict.fromkeys(url for urls in linked for url in urls))[:maximum]


def _by_sort(
    results: Iterable[ToolResult], sorts: Sequence[str], company_domains: frozenset[str], *, asked: Iterable[str]
) -> list[list[str]]:
    """Links to the company's own pages by sort; in each, shallow pages first, then as they are linked. A link belongs to
    the first sort that it fits, by its path before its words."""
    seen = {page[0] for url in asked if (page := _page(url))}
    found: list[list[tuple[int, str]]] = [[] for _ in sorts]
    for result in results:
        if result.tool != "fetch_page" or registrable_domain(result.final_url) not in company_domains:
            continue
        for words, url in _LINK.findall(result.text):
            page = _page(url)
            if page is None or registrable_domain(url) not in company_domains:
                continue
            key, path = page
            if key in seen or _NOT_WANTED.search(path):
                continue
            sort = next(
                (
                    at
                    for text in (path, words)
                    for at, sort in enumerate(sorts)
                    if re.search(rf"(?<![a-z])(?:{sort})", text.lower())
                ),
                None,
            )
            if sort is not None:
                seen.add(key)
                found[sort].append((path.strip("/").count("/"), url))
    return [[url for _, url in sorted(urls, key=lambda each: each[0])] for urls in found]


def _page(url: str) -> tuple[str, str] | None:
    """What tells a page from another (no scheme, ``www.``, query, fragment or final slash), and its path; None for what is
    no address at all."""
    try:
        parts = urlsplit(normalised_url(url))
    except ValueError:  # "http://[" and the like, which pages do link to
        return None
    return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}", parts.path
