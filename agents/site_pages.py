"""Chooses which pages of a company's site to show an agent, by link text and path. No model is involved."""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from domain.company.hosts import registrable_domain
from store.tools.tool_results import ToolResult
from web.company_site import raise_if_unavailable
from web.gateway import ToolGateway, normalised_url

# Kinds of pages, best first: patterns for the start of a word in a link's path or text.
RESEARCH_PAGES = (
    "about|story|company|who|what",
    "owner|landlord|investor|service|management|manage",
    "available|rental|listing|homes|portfolio|properties",
)
CONTACT_PAGES = (
    "team|staff|people|leadership|meet|agents|directory",
    "about|story|company|who",
    "contact|touch|office|location",
)

_LINK = re.compile(r"\[([^\]\[\n]*)\]\((https?://[^)\s]+)\)")
_SKIPPED_PATHS = re.compile(
    r"\.(?:pdf|jpe?g|png|gif|svg|webp|zip|docx?|xlsx?|ics|css|js|xml)$|/(?:wp-|feed\b|blog|news|tag|category|cart|search\b)"
    r"|log-?in|sign-?in|portal|privacy|terms|apply|application|pay\b|\bpay-",
    re.IGNORECASE,
)


async def choose_pages(
    gateway: ToolGateway,
    known: Sequence[str],
    page_kinds: Sequence[str],
    company_domains: frozenset[str],
    *,
    is_last_attempt: bool = False,
) -> list[str]:
    """Return the home page and the best page of each kind. All are fetched, so later reads hit the cache.

    Args:
        known: URLs of pages already read, home page first.
        is_last_attempt: continue without pages that failed temporarily.

    Raises:
        SiteUnavailableError: one of these pages failed temporarily.
    """
    results = [await gateway.fetch_page(url, retry=is_last_attempt) for url in known]
    linked = _links_by_kind(results, page_kinds, company_domains, known_urls=known[:1])
    best = list(dict.fromkeys(urls[0] for urls in linked if urls))
    results += [await gateway.fetch_page(url, retry=is_last_attempt) for url in best]
    if not is_last_attempt:
        raise_if_unavailable(results)
    return [*known[:1], *best]


def unread_pages(
    results: Mapping[str, ToolResult], page_kinds: Sequence[str], company_domains: frozenset[str], maximum: int
) -> list[str]:
    """Return linked pages of these kinds that are not in the results, best first."""
    read = [str(url) for result in results.values() for url in (result.args.get("url"), result.final_url) if url]
    linked = _links_by_kind(results.values(), page_kinds, company_domains, known_urls=read)
    return list(dict.fromkeys(url for urls in linked for url in urls))[:maximum]


def _links_by_kind(
    results: Iterable[ToolResult],
    page_kinds: Sequence[str],
    company_domains: frozenset[str],
    *,
    known_urls: Iterable[str],
) -> list[list[str]]:
    """Return links to the company's own pages by kind. Shallow paths come first, then page order."""
    seen = {page[0] for url in known_urls if (page := _page_key(url))}
    found: list[list[tuple[int, str]]] = [[] for _ in page_kinds]
    for result in results:
        if result.tool != "fetch_page" or registrable_domain(result.final_url) not in company_domains:
            continue
        for words, url in _LINK.findall(result.text):
            page = _page_key(url)
            if page is None or registrable_domain(url) not in company_domains:
                continue
            key, path = page
            kind = _kind(path, words, page_kinds)
            if key not in seen and kind is not None and not _SKIPPED_PATHS.search(path):
                seen.add(key)
                found[kind].append((path.strip("/").count("/"), url))
    return [[url for _, url in sorted(urls, key=lambda each: each[0])] for urls in found]


def _kind(path: str, words: str, page_kinds: Sequence[str]) -> int | None:
    for text in (path, words):
        for number, pattern in enumerate(page_kinds):
            if re.search(rf"(?<![a-z])(?:{pattern})", text.lower()):
                return number
    return None


def _page_key(url: str) -> tuple[str, str] | None:
    """Return a page's identity (no scheme, ``www.``, query or final slash) and its path. None for an invalid URL."""
    try:
        parts = urlsplit(normalised_url(url))
    except ValueError:  # "http://[", which pages do link to
        return None
    return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}", parts.path
