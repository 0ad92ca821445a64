"""Finds the PMS signals of one page: addresses in its links, frames, scripts, forms and text that match a rule. Pure.

A vendor's name in text, in a path or in another domain is not a signal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from domain.company.pms_detection import PmsSignal, SignalKind, SitePage
from domain.company.pms_vendors import AddOn, PmsVendor
from pms.rules import AddressSource, Match, rule_table

MAX_EVIDENCE_LENGTH = 500


@dataclass(frozen=True)
class PageReading:
    """The signals and text of one page.

    Attributes:
        signals: each product, kind, host and account once, in page order.
        is_clean: the page has a link and is not a bot check. An empty page or a script shell is not clean.
        is_challenge: a bot check or block page.
        text: the visible text.
    """

    signals: tuple[PmsSignal, ...]
    is_clean: bool
    is_challenge: bool
    text: str = field(default="", repr=False)

    def claims_a_pms(self) -> bool:
        """Whether the text says that the company uses a PMS ("rent is paid through Buildium").

        Text names no account and may be wrong, so it is not a signal. But it rules out ``none``.
        """
        # The first check only saves time.
        return any(vendor.value in self.text for vendor in PmsVendor) and _CLAIM.search(self.text) is not None


def read_page(html: str | bytes, page_url: str) -> PageReading:
    """Find all signals of a page on the company's own site.

    Reads links, forms, frames, scripts, stylesheets, click handlers and ``javascript:`` links. Addresses in the visible text are
    the weakest kind.
    """
    tree = LexborHTMLParser(html)
    page = _Page(page_url)
    scripts: list[str] = []
    base = _base(tree)
    for node in tree.css(_CARRIERS):
        attributes = node.attributes
        tag = node.tag
        onclick = attributes.get("onclick")
        if onclick:
            scripts.append(onclick)
        if tag in _ATTRIBUTES:
            source, names = _ATTRIBUTES[tag]
            value = next((found for name in names if (found := attributes.get(name))), None)
            if value is None:
                if tag == "script":
                    scripts.append(node.text())
                continue
            if value[:11].lower() == "javascript:":
                scripts.append(value)
            else:
                page.add_address(value, source, base)
    for script in scripts:
        page.add_calls(script)
        page.add_words(script, "script")
    # A script shell may have one link, in its noscript text.
    has_link = len(tree.css("a[href]")) > len(tree.css("noscript a[href]"))
    text = _visible_text(tree)
    page.add_words(text, "text")
    title = tree.css_first("title")
    is_challenge = title is not None and bool(_CHALLENGE.match(title.text().strip()))
    return PageReading(page.signals(), has_link and not is_challenge, is_challenge, text)


def redirect_signals(page: SitePage) -> tuple[PmsSignal, ...]:
    """Return the portals that a company's own address redirects to. Shared sign-in hosts do not count."""
    reading = _Page(page.url)
    for address in (*page.redirects, page.final_url):
        if address != page.url:
            reading.add_address(address, "redirect", None)
    return reading.signals()


_CARRIERS = "a[href],area[href],form[action],iframe,script,link[href],[onclick]"
# Frames and scripts that load lazily use a data attribute.
_SOURCES = ("src", "data-src", "data-lazy-src")
_ATTRIBUTES: dict[str | None, tuple[AddressSource, tuple[str, ...]]] = {
    "a": ("link", ("href",)),
    "area": ("link", ("href",)),
    "form": ("link", ("action",)),
    "iframe": ("frame", _SOURCES),
    "script": ("loaded", _SOURCES),
    "link": ("loaded", ("href",)),
}
_NAMES = "|".join(re.escape(vendor.value) for vendor in PmsVendor)
# "Paid through Buildium", "our AppFolio portal". Case-sensitive, because "rent manager" is also a job.
_CLAIM = re.compile(
    rf"\b(?:(?:through|via|using|uses?|powered by|sign in to|log ?in to|logging in to)\s+(?:our\s+|the\s+)?(?:{_NAMES})"
    rf"|(?:{_NAMES})(?:\s+(?:online|owner|resident|tenant))?\s+(?:portal|account|login|app))\b"
)
# Titles of common bot checks and block pages (Cloudflare, Sucuri, Akamai, Imperva, DDoS-Guard).
_CHALLENGE = re.compile(
    r"just a moment|attention required! \| cloudflare|access denied|ddos-guard|sucuri website firewall"
    r"|pardon our interruption|are you a robot|verify(?:ing)? you are human|bot verification|403 forbidden",
    re.IGNORECASE,
)


class _Page:
    def __init__(self, page_url: str) -> None:
        self.page_url = page_url
        self._found: dict[tuple[str, SignalKind, str, str | None], PmsSignal] = {}

    def signals(self) -> tuple[PmsSignal, ...]:
        """Return all signals, without assets and text that repeat the host of a stronger signal.

        Plug-ins and page data copy the addresses of links, so a copy confirms nothing.
        """
        best: dict[tuple[str, str], int] = {}
        for signal in self._found.values():
            key = (signal.vendor, signal.host)
            best[key] = min(best.get(key, signal.kind.rank), signal.kind.rank)
        return tuple(
            signal
            for signal in self._found.values()
            if signal.kind.can_prove or signal.kind.rank == best[signal.vendor, signal.host]
        )

    def add_address(self, value: str, source: AddressSource, base: str | None) -> None:
        address = value
        if base is not None:
            try:
                address = urljoin(base, value)
            except ValueError:
                return
        match = rule_table().match(address, source)
        if match is not None:
            self._add(match, _kind(match, source), value)

    def add_calls(self, script: str) -> None:
        for call, pattern in _calls():
            if call.partition(".")[0] not in script:
                continue
            for found in pattern.finditer(script):
                match = rule_table().match_call(call, found["host"].replace("\\/", "/"))
                if match is not None:
                    self._add(match, SignalKind.LISTING_WIDGET, found[0])

    def add_words(self, words: str, source: AddressSource) -> None:
        for found in dict.fromkeys(_addresses(words)):
            address = found.replace("\\", "")
            match = rule_table().match(address if "//" in address.partition("?")[0] else f"//{address}", source)
            if match is not None:
                self._add(match, _kind(match, source), found)

    def _add(self, match: Match, kind: SignalKind, evidence: str) -> None:
        vendor = match.rule.vendor
        key = (vendor.value, kind, match.host, match.slug)
        if key in self._found:
            return
        confidence = match.rule.confidence if kind.can_prove or isinstance(vendor, AddOn) else "low"
        self._found[key] = PmsSignal(
            vendor=vendor,
            kind=kind,
            host=match.host,
            slug=match.slug,
            page_url=self.page_url,
            evidence=evidence[:MAX_EVIDENCE_LENGTH],
            confidence=confidence,
        )


def _kind(match: Match, source: AddressSource) -> SignalKind:
    """Return the kind of a signal. A portal that is loaded but not linked is an asset."""
    if source == "text":
        return SignalKind.TEXT
    if match.rule.kind is SignalKind.ASSET:
        return SignalKind.ASSET
    if source == "redirect":
        return SignalKind.REDIRECT
    if source == "frame":
        return SignalKind.LISTING_WIDGET
    if source in ("loaded", "script") and match.rule.kind is SignalKind.PORTAL_LINK:
        return SignalKind.ASSET
    return match.rule.kind


def _base(tree: LexborHTMLParser) -> str | None:
    """Return the page's base address, or None if it is on the company's own site."""
    node = tree.css_first("base[href]")
    href = (node.attributes.get("href") or "") if node is not None else ""
    return href if "//" in href else None


def _visible_text(tree: LexborHTMLParser) -> str:
    tree.strip_tags(["script", "style", "noscript"])
    return tree.body.text(separator=" ") if tree.body is not None else ""


def _addresses(words: str) -> Iterator[str]:
    """Yield addresses and bare hosts on a domain of the rules. Never matches part of a longer name or path."""
    lowered = words.lower()
    if any(domain in lowered for domain in rule_table().domains):  # only saves time
        for address in _address_pattern().finditer(words):
            yield address[0].rstrip(".,;:!")


@cache
def _address_pattern() -> re.Pattern[str]:
    domains = "|".join(re.escape(domain) for domain in sorted(rule_table().domains))
    return re.compile(
        r"(?:(?:https?:)?(?:\\?/){2}|(?<![\w.@/%\\-]))"  # after // or at the start of a name
        # At most four labels, as in every portal. Without the limit, a page full of dots takes a minute.
        rf"(?:[a-z0-9_-]{{1,63}}\.){{0,4}}(?:{domains})(?![\w-])(?!\.\w)(?::\d+)?"
        r"(?:\\?[/?#][^\s\"'<>()]*)?",
        re.IGNORECASE,
    )


@cache
def _calls() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (
            call,
            re.compile(
                rf"\b{dotted}\s*\(\s*\{{[^{{}}]*?"
                rf"[\"']?\b{re.escape(key)}[\"']?\s*:\s*[\"'`](?P<host>[^\"'`\s]+)[\"'`]"
            ),
        )
        for call, key in sorted(rule_table().calls)
        for dotted in [r"\s*\.\s*".join(re.escape(name) for name in call.split("."))]
    )
