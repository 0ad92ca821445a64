"""Reads the companies that a directory page lists, by rule. Pure.

The result checks, or replaces, what an agent read from the page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.hosts import registrable_domain
from domain.company.identity import first_phone
from pms.rules import portal_account

DIRECTORY_ENTRIES_MIN = 5
"""A shorter list is often a menu."""

_BLOCKS = ("li", "tr", "article", "div", "section", "dd", "dt", "p")
_HEADINGS = ("h2", "h3", "h4", "h5")
_NO_DIRECTORY = frozenset({"nav", "header", "footer", "form", "select"})
_NAME_LENGTH_MAX = 90
_BLOCK_TEXT_MAX = 3_000  # a longer block is more than one company
_SAME_NAME_MAX = 2  # two companies may share a name; a name that appears three times is a caption
_SHARE_MIN = 0.5
_NUMBERING = re.compile(r"^\s*(?:#?\d{1,3}\s*[.):-]\s*|[•·*–-]\s+)")
_BUSINESS_WORD = re.compile(
    r"\b(property|properties|management|managers?|pm|realty|realtors?|real estate|rentals?|residential|homes?|leasing"
    r"|group|associates|partners|services|company|llc|inc|lp|ltd|corp)\b",
    re.IGNORECASE,
)
_PROPERTY_MANAGER = re.compile(
    r"\b(property|properties|management|managers?|pm|realty|realtors?|rentals?|residential|homes?|leasing)\b",
    re.IGNORECASE,
)
_PAGE_NUMBER = re.compile(r"/(?:page|p)?/?\d+/?$", re.IGNORECASE)
_NEXT = re.compile(r"^\W*(?:next(?: page)?|older(?: posts)?|more results|show more)\W*$|^[»›→]+$", re.IGNORECASE)


@dataclass(frozen=True)
class DirectoryEntry:
    """One company in the list. ``url`` is its first link to another site."""

    name: str
    url: str | None
    phone: str | None
    text: str

    @property
    def is_property_manager(self) -> bool:
        return _PROPERTY_MANAGER.search(self.name) is not None


@dataclass(frozen=True)
class DirectoryPage:
    """The longest list of a page (empty if there is none), and the URL of the next page."""

    entries: tuple[DirectoryEntry, ...]
    next_url: str | None

    @property
    def lists_property_managers(self) -> bool:
        """Whether at least half of the names are property managers."""
        return sum(entry.is_property_manager for entry in self.entries) >= _SHARE_MIN * max(1, len(self.entries))


def read_directory_page(html: str, page_url: str) -> DirectoryPage:
    """Return the longest list of companies on a page.

    Blocks with the same parent, tag and class are a list. It is a list of companies if at least half of its blocks link to
    their own sites, or have a business word in the name and more text. Menus and lists of people or homes fail both tests.
    """
    tree = LexborHTMLParser(html)
    if tree.body is None:
        return DirectoryPage((), None)
    best: list[DirectoryEntry] = []
    for blocks in _similar_blocks(tree.body):
        entries = _distinct([entry for block in blocks if (entry := _entry(block, page_url)) is not None])
        if len(entries) > len(best) and _are_companies(entries):
            best = entries
    return DirectoryPage(tuple(best), _next_page(tree, page_url))


def _similar_blocks(body: LexborNode) -> Iterator[list[list[LexborNode]]]:
    """Yield each list of similar blocks. A heading's block contains all nodes up to the next heading."""
    similar: dict[tuple[int, str, str], list[LexborNode]] = {}
    for node in body.css(",".join((*_BLOCKS, *_HEADINGS))):
        parent = node.parent
        if parent is not None:
            key = (parent.mem_id, node.tag or "", (node.attributes.get("class") or "").strip())
            similar.setdefault(key, []).append(node)
    for (_, tag, _), nodes in similar.items():
        if len(nodes) >= DIRECTORY_ENTRIES_MIN and not any(above.tag in _NO_DIRECTORY for above in _parents(nodes[0])):
            yield [[node, *_until_next_heading(node)] if tag in _HEADINGS else [node] for node in nodes]


def _parents(node: LexborNode) -> Iterator[LexborNode]:
    above = node.parent
    while above is not None:
        yield above
        above = above.parent


def _until_next_heading(heading: LexborNode) -> Iterator[LexborNode]:
    node = heading.next
    while node is not None and node.tag not in _HEADINGS and node.tag != "h1":
        yield node
        node = node.next


def _entry(block: list[LexborNode], page_url: str) -> DirectoryEntry | None:
    text = _one_line(" ".join(node.text(separator=" ") for node in block))
    name = _name(block)
    if name is None or len(text) > _BLOCK_TEXT_MAX:
        return None
    return DirectoryEntry(name=name, url=_own_link(block, page_url), phone=first_phone(text), text=text)


def _name(block: list[LexborNode]) -> str | None:
    for selector in (*_HEADINGS, "strong", "b", "a"):
        for node in block:
            found = node if node.tag == selector else node.css_first(selector)
            words = _NUMBERING.sub("", _one_line(found.text(separator=" "))) if found is not None else ""
            if _may_be_name(words):
                return words
    return None


def _may_be_name(words: str) -> bool:
    return (
        2 < len(words) <= _NAME_LENGTH_MAX
        and any(char.isupper() for char in words)
        and not words.endswith(("?", "!", ":"))
        and "://" not in words
        and _NEXT.match(words) is None
    )


def _own_link(block: list[LexborNode], page_url: str) -> str | None:
    for node in block:
        links = [node] if node.tag == "a" else node.css("a[href]")
        for link in links:
            url = _absolute(page_url, link.attributes.get("href"))
            if url is None or registrable_domain(url) in (None, registrable_domain(page_url)):
                continue
            # Skip maps and social networks. A free host or an account's portal belongs to one company.
            if excluded_site_kind(url) in (None, ExcludedSiteKind.FREE_HOST) or portal_account(url) is not None:
                return url
    return None


def _are_companies(entries: list[DirectoryEntry]) -> bool:
    if len(entries) < DIRECTORY_ENTRIES_MIN:
        return False
    enough = _SHARE_MIN * len(entries)
    sites = {registrable_domain(entry.url) for entry in entries if entry.url and excluded_site_kind(entry.url) is None}
    # Menus contain business words too. A directory adds text to the name, such as a city or a phone number.
    named = sum(
        len(entry.text) > len(entry.name) + 2 and _BUSINESS_WORD.search(entry.name) is not None for entry in entries
    )
    return len(sites) >= enough or named >= enough


def _distinct(entries: list[DirectoryEntry]) -> list[DirectoryEntry]:
    """Drop repeated entries, and captions ("Website", "Read more") taken for names."""
    by_name: dict[str, dict[str | None, DirectoryEntry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name.casefold(), {}).setdefault(entry.url, entry)
    return [entry for found in by_name.values() if len(found) <= _SAME_NAME_MAX for entry in found.values()]


def _next_page(tree: LexborHTMLParser, page_url: str) -> str | None:
    for node in tree.css('link[rel="next"], a[rel="next"], a[href]'):
        named = node.attributes.get("rel") == "next" or _NEXT.match(_one_line(node.text(separator=" ")))
        url = _absolute(page_url, node.attributes.get("href")) if named else None
        if url and url != urldefrag(page_url).url and _without_number(url) == _without_number(page_url):
            return url
    return None


def _without_number(url: str) -> tuple[str, str]:
    """Return host and path without the page number. They are equal for all pages of one list."""
    parts = urlsplit(url)
    return parts.netloc.lower(), _PAGE_NUMBER.sub("", parts.path).rstrip("/")


def _absolute(page_url: str, reference: str | None) -> str | None:
    if not reference:
        return None
    try:
        url = urldefrag(urljoin(page_url, reference.strip())).url
    except ValueError:
        return None
    return url if url.startswith(("http://", "https://")) else None


def _one_line(text: str) -> str:
    return " ".join(text.split())
