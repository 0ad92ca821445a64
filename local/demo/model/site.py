"""A company's own site, for both research roles: the task, which pages are the company's, and what to open next."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from local.demo.model.conversation import Conversation, PageResult
from local.demo.model.responses_api import ApiError, JsonObject, ToolCall
from local.demo.model.text import Link, host, path, read_lines, same_address, site, slug

PAGES_AT_ONCE = 5
_NOT_A_PAGE = re.compile(r"\.(?:pdf|jpe?g|png|gif|svg|zip|docx?|xlsx?|ics|css|js)$|/wp-json|/feed/?$", re.IGNORECASE)
_BEHIND_A_DOOR = re.compile(
    r"log-?in|sign-?in|portal|pay-?(?:rent|online)|apply|application|/blog/|privacy|terms|cart|/search/?$"
    r"|[?&](?:q|s)=",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CompanyTask:
    """The company of a research task. Missing fields are empty."""

    name: str
    website: str
    domain: str
    city: str
    state: str
    known_pages: tuple[Link, ...]


def read_company_task(conversation: Conversation) -> CompanyTask:
    """Read the task of a research conversation.

    Raises:
        ApiError: 400 if it names no company.
    """
    company = conversation.task.get("company")
    if not isinstance(company, dict) or not company.get("name"):
        raise ApiError("The task names no company.", param="input[0].content")
    website = str(company.get("website") or "")
    domain = str(company.get("domain") or "") or host(website)
    return CompanyTask(
        name=str(company["name"]),
        website=website or (f"http://{domain}/" if domain else ""),
        domain=domain,
        city=str(company.get("city") or ""),
        state=str(company.get("state") or ""),
        known_pages=tuple(_known_pages(conversation.task)),
    )


def own_pages(conversation: Conversation, company: CompanyTask) -> list[PageResult]:
    """Return the pages read so far on the company's domain, or where that redirected."""
    hosts = {site(company.domain)} | {
        site(page.url) for page in conversation.pages if site(page.asked_url) == site(company.domain)
    }
    return [page for page in conversation.pages if site(page.url) in hosts]


def pages_to_open(
    conversation: Conversation, company: CompanyTask, wanted: re.Pattern[str], *, count: int
) -> list[str]:
    """Return unread pages of the company's site that match ``wanted``, best first.

    Candidates are the known pages and the links of pages already read.
    """
    read = own_pages(conversation, company)
    hosts = {site(company.domain), *(site(page.url) for page in read)}
    links = [*company.known_pages]
    for page in read:
        links.extend(link for line in read_lines(page.text) for link in line.links)
    promising = [
        link for link in links if site(link.url) in hosts and link.url.startswith("http") and _promises(link, wanted)
    ]
    start = [company.website] if company.website else []
    ordered = [*start, *(link.url for link in sorted(promising, key=lambda link: _rank(link, wanted)))]
    return conversation.unread(ordered)[: min(count, PAGES_AT_ONCE)]


def search_for_pages(
    conversation: Conversation, company: CompanyTask, topic: str, *, turns_max: int, calls_max: int
) -> list[ToolCall]:
    """Return a search for the company and a topic. After that, return the unread hits on its site."""
    query = " ".join(word for word in (company.name, company.city, company.state, topic) if word)
    if not conversation.searched(query, 1):
        may = conversation.may("search_web", turns_max=turns_max, calls_max=calls_max)
        return [ToolCall("search_web", {"query": query, "page": 1})] if may else []
    if not conversation.may("fetch_page", turns_max=turns_max, calls_max=calls_max):
        return []
    hits = [hit.url for search in conversation.searches for hit in search.hits if _is_own(hit.url, company)]
    return [ToolCall("fetch_page", {"url": url}) for url in conversation.unread(hits)[:3]]


def _is_own(url: str, company: CompanyTask) -> bool:
    if company.domain:
        return site(url) == site(company.domain)
    core = slug(re.sub(r"\b(?:llc|inc|co|property|management|the)\b", "", company.name, flags=re.IGNORECASE))
    return bool(core) and core in slug(host(url))


def _known_pages(task: JsonObject) -> Iterable[Link]:
    pages = task.get("known_pages")
    for page in pages if isinstance(pages, list) else []:
        if isinstance(page, dict) and page.get("url"):
            yield Link(str(page.get("title") or ""), str(page["url"]))


def _promises(link: Link, wanted: re.Pattern[str]) -> bool:
    where = path(link.url)
    if _NOT_A_PAGE.search(where) or _BEHIND_A_DOOR.search(where) or same_address(link.url) == host(link.url):
        return False
    return bool(wanted.search(where) or wanted.search(link.text))


def _rank(link: Link, wanted: re.Pattern[str]) -> tuple[int, int]:
    """Rank pages whose address matches first, then shallow pages."""
    where = path(link.url)
    return (0 if wanted.search(where) else 1, where.count("/"))
