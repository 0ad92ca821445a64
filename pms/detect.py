"""Chooses the pages of a company's site to read for its PMS, and combines their signals. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urldefrag, urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.hosts import normalized_host, registrable_domain, same_registrable_domain
from domain.company.pms_detection import PmsDetection, PmsSignal, SitePage, SiteProblem, page_key, pms_verdict
from pms.rules import rule_table
from pms.signals import read_page, redirect_signals

LIKELY_WORDS = (
    "resident", "tenant", "owner", "portal", "pay", "login", "apply", "rentals", "available", "listings", "about",
)  # fmt: skip
"""Words that suggest a portal link, best first (docs/domain.md)."""


def likely_pages(home_html: str, home_url: str, limit: int = 3) -> list[str]:
    """Return up to ``limit`` links of the home page to read next, each page once.

    A link needs a word of ``LIKELY_WORDS`` in its path or text, and the same registrable domain. Blog posts and files are left
    out. The best link for each word comes first, because different pages confirm more.
    """
    seen = {page_key(home_url)}
    by_word: dict[int, list[tuple[int, int, str]]] = {}
    for position, (url, text) in enumerate(_links(home_html, home_url)):
        key = page_key(url)
        path = urlsplit(url).path
        word = _likely_word(f"{path} {text}")
        if key in seen or word is None or _NOT_A_PAGE.search(path) or not same_registrable_domain(url, home_url):
            continue
        seen.add(key)
        by_word.setdefault(word, []).append((path.rstrip("/").count("/"), position, url))
    first: list[str] = []
    rest: list[str] = []
    for word in sorted(by_word):
        best, *others = sorted(by_word[word])
        first.append(best[2])
        rest.extend(url for _, _, url in others)
    return [*first, *rest][:limit]


def detect_pms(pages: Sequence[SitePage], *, site_problem: SiteProblem | None = None) -> PmsDetection:
    """Detect the PMS from the pages of one company's site, in any order.

    If another site answered, only the redirect counts: a portal or directory must not speak for the company. Pages with the
    same content count once.

    Args:
        pages: pages requested from the company's site: the home page and ``likely_pages``.
        site_problem: why the site or part of it could not be read.
    """
    asked = [page for page in pages if not _is_product_host(page.url)]
    own_domains = {registrable_domain(page.url) for page in asked if _may_be_own(page.url)}
    signals: list[PmsSignal] = []
    own: dict[str, SitePage] = {}
    for page in asked:
        signals.extend(redirect_signals(page))
        if registrable_domain(page.final_url) in own_domains or _has_moved(page):
            known = own.get(page.html)
            if known is None or page_key(page.final_url) < page_key(known.final_url):
                own[page.html] = page
    readings = [(page, read_page(page.html, page.final_url)) for page in own.values()]
    signals += [signal for _, reading in readings for signal in reading.signals]
    clean_pages = {page_key(page.final_url) for page, reading in readings if reading.is_clean}
    if site_problem is None and not own:
        site_problem = "no_site"
    elif site_problem is None and not clean_pages and any(reading.is_challenge for _, reading in readings):
        site_problem = "blocked"
    # Only if needed: this takes a tenth of the time.
    has_pms_signal = any(signal.category == "pms" for signal in signals)
    claimed = not has_pms_signal and any(reading.claims_a_pms() for _, reading in readings)
    return pms_verdict(signals, len(clean_pages), site_problem=site_problem, claimed_in_words=claimed)


_NOT_A_PAGE = re.compile(
    r"/(?:blog|news|category|tag|author|posts?|wp-content|wp-json|feed|\d{4}/\d{2})(?:/|$)"
    r"|\.(?:pdf|docx?|xlsx?|jpe?g|png|gif|webp|svg|mp4|zip|xml|ics)$",
    re.IGNORECASE,
)


def _likely_word(text: str) -> int | None:
    """Return the rank of the best likely word, or None."""
    tokens = re.findall(r"[a-z]+", text.lower())
    return next((rank for rank, word in enumerate(LIKELY_WORDS) if any(t.startswith(word) for t in tokens)), None)


def _links(html: str, page_url: str) -> Iterator[tuple[str, str]]:
    tree = LexborHTMLParser(html)
    base = tree.css_first("base[href]")
    start = urljoin(page_url, (base.attributes.get("href") if base is not None else None) or "")
    for node in tree.css("a[href]"):
        href = (node.attributes.get("href") or "").strip()
        try:
            url = urldefrag(urljoin(start, href)).url
            scheme = urlsplit(url).scheme
        except ValueError:
            continue
        if scheme in ("http", "https"):
            yield url, node.text()


def _is_product_host(url: str) -> bool:
    host = normalized_host(url)
    return host is not None and rule_table().owns(host)


def _may_be_own(url: str) -> bool:
    """Whether a URL may be a company's own site. A free host may; a directory, social network or vendor may not."""
    return excluded_site_kind(url) in (None, ExcludedSiteKind.FREE_HOST)


def _has_moved(page: SitePage) -> bool:
    """Whether the home page was requested and another ordinary site answered."""
    return urlsplit(page.url).path in ("", "/") and _may_be_own(page.url) and excluded_site_kind(page.final_url) is None
