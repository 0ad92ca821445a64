"""Property management software: the names, what a site can show of it, and the rule that turns signals into a verdict.

Pure. Where each vendor's portals live is data in ``pms/rules.toml``; how pages are read is ``tools/pms``. The
rule is DOMAIN, "Property management software, detected from a public site"; LESSONS F55 and F58 are why names and
verdicts are code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, model_validator

from domain.company.pms_vendors import PmsVendor, Product, ProductCategory, category_of

Confidence: TypeAlias = Literal["high", "medium", "low"]
PmsStatus: TypeAlias = Literal["detected", "none", "unknown", "conflict"]
PmsReason: TypeAlias = Literal["no_site", "blocked", "no_portal_link", "unconfirmed"]
SiteProblem: TypeAlias = Literal["no_site", "blocked"]


class SignalKind(StrEnum):
    """How a product shows on a page, strongest first; the order of the members is the rank."""

    PORTAL_LINK = "portal_link"
    LISTING_WIDGET = "listing_widget"
    REDIRECT = "redirect"
    ASSET = "asset"
    TEXT = "text"

    @property
    def rank(self) -> int:
        """0 for the strongest kind."""
        return _RANKS[self]

    @property
    def can_prove(self) -> bool:
        """Whether this kind can name the vendor. Assets and text may agree with proof; alone they are none."""
        return self in _PROVING


_RANKS = {kind: rank for rank, kind in enumerate(SignalKind)}
_PROVING = frozenset({SignalKind.PORTAL_LINK, SignalKind.LISTING_WIDGET, SignalKind.REDIRECT})


class SitePage(BaseModel):
    """A stored page of the company's own site.

    Attributes:
        url: the address that was asked for, on the company's own site.
        final_url: the address that answered.
        html: what came back, decoded.
        redirects: addresses passed through on the way, in order; the two ends may be among them.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    final_url: str
    html: str
    redirects: tuple[str, ...] = ()


class PmsSignal(BaseModel):
    """One product seen once, in one way, on one page.

    Attributes:
        vendor: the product; not only a PMS, see ``category``.
        host: the host that gave it away, in normal form.
        slug: the company's account name at the vendor, where the address holds one.
        page_url: page of the company's site that shows it; of a redirect, the address that was asked for.
        evidence: the exact attribute value, address or script words, as the page has them (at most 500 characters).
        confidence: of the rule that matched; low for assets and text; None for an add-on, which proves nothing.
    """

    model_config = ConfigDict(frozen=True)

    vendor: Product
    kind: SignalKind
    host: str
    slug: str | None
    page_url: str
    evidence: str
    confidence: Confidence | None

    @model_validator(mode="after")
    def _proof_has_a_confidence(self) -> Self:
        if (self.confidence is None) != (self.category == "add_on"):
            raise ValueError("every signal has the confidence of its rule, except those of add-ons")
        return self

    @property
    def category(self) -> ProductCategory:
        """What sort of product it is."""
        return category_of(self.vendor)


class PmsDetection(BaseModel):
    """What a site says about the company's PMS.

    ``detected`` carries vendor and confidence (and the slug, when one account stands out); ``unknown`` carries a
    reason; ``none`` and ``conflict`` carry neither. ``signals`` holds the PMS signals, strongest first; ``negative``
    those of HOA and short-term rental systems; ``addons`` those of add-ons.
    """

    model_config = ConfigDict(frozen=True)

    status: PmsStatus
    vendor: PmsVendor | None = None
    slug: str | None = None
    confidence: Confidence | None = None
    reason: PmsReason | None = None
    signals: tuple[PmsSignal, ...] = ()
    negative: tuple[PmsSignal, ...] = ()
    addons: tuple[PmsSignal, ...] = ()

    @model_validator(mode="after")
    def _says_what_its_status_means(self) -> Self:
        detected = self.status == "detected"
        if detected != (self.vendor is not None) or detected != (self.confidence is not None):
            raise ValueError("vendor and confidence belong to a detected PMS, and to nothing else")
        if self.slug is not None and not detected:
            raise ValueError("a slug belongs to a detected vendor")
        if (self.status == "unknown") != (self.reason is not None):
            raise ValueError("a reason belongs to unknown, and unknown needs one")
        return self


def pms_verdict(
    signals: Iterable[PmsSignal],
    pages_read_cleanly: int,
    *,
    site_problem: SiteProblem | None = None,
    claimed_in_words: bool = False,
) -> PmsDetection:
    """The verdict on all signals of one site, whatever order they come in.

    - Two vendors in portal links: ``conflict``.
    - Otherwise the vendor of the strongest kind of signal, if that kind can prove and a second page or a second kind
      agrees: ``detected``. Else ``unknown``, ``unconfirmed``.
    - No PMS signal: ``none`` after two pages read cleanly and no trouble with the site, else ``unknown`` with the
      reason. A page that says in words that it uses one is no proof of which, but "none" would be a false fact: it is
      ``unknown``, ``unconfirmed``.

    Args:
        pages_read_cleanly: distinct pages of the company's own site that showed their content.
        site_problem: why the site, or part of it, could not be read.
        claimed_in_words: a page says that it uses a PMS ("rent is paid through Buildium"), without any address of it.
    """
    ordered = sorted(set(signals), key=_order)
    pms = [(vendor, signal) for signal in ordered if isinstance(vendor := signal.vendor, PmsVendor)]
    sightings = {
        "signals": tuple(signal for _, signal in pms),
        "negative": tuple(signal for signal in ordered if signal.category in ("hoa", "short_term_rental")),
        "addons": tuple(signal for signal in ordered if signal.category == "add_on"),
    }
    if not pms:
        if claimed_in_words and site_problem is None:
            return PmsDetection(status="unknown", reason="unconfirmed", **sightings)
        if pages_read_cleanly >= _PAGES_FOR_NONE and site_problem is None:
            return PmsDetection(status="none", **sightings)
        return PmsDetection(status="unknown", reason=site_problem or "no_portal_link", **sightings)
    if len({vendor for vendor, signal in pms if signal.kind is SignalKind.PORTAL_LINK}) > 1:
        return PmsDetection(status="conflict", **sightings)
    strongest = pms[0][1].kind
    leaders = {vendor for vendor, signal in pms if signal.kind is strongest}
    leader = pms[0][0]
    own = [signal for vendor, signal in pms if vendor is leader]
    if len(leaders) > 1 or not strongest.can_prove or not _agree(own):
        return PmsDetection(status="unknown", reason="unconfirmed", **sightings)
    proof = [signal for signal in own if signal.kind is strongest]
    grades = {signal.confidence for signal in proof}
    confidence = next(grade for grade in _GRADES if grade in grades)
    return PmsDetection(status="detected", vendor=leader, slug=_slug(own), confidence=confidence, **sightings)


_PAGES_FOR_NONE = 2
_GRADES: tuple[Confidence, ...] = ("high", "medium", "low")


def page_key(url: str) -> str:
    """One name per page, without scheme, ``www.``, fragment and trailing slash: no page can agree with itself."""
    bare = re.sub(r"^(?:https?:)?//(?:www\.)?", "", url.strip(), flags=re.IGNORECASE).partition("#")[0]
    host, slash, rest = bare.partition("/")
    return f"{host.lower()}{slash}{rest}".rstrip("/")


def _order(signal: PmsSignal) -> tuple[int, str, str, str, str, str, str]:
    return (
        signal.kind.rank, signal.vendor, signal.host, signal.slug or "", signal.page_url, signal.evidence,
        signal.confidence or "",
    )  # fmt: skip


def _agree(signals: list[PmsSignal]) -> bool:
    return len({page_key(signal.page_url) for signal in signals}) > 1 or len({signal.kind for signal in signals}) > 1


def _slug(signals: list[PmsSignal]) -> str | None:
    """The account seen on the most pages; None on a tie, because a wrong account would merge two companies."""
    pages: dict[str, set[str]] = {}
    for signal in signals:
        if signal.slug is not None and signal.kind.can_prove:
            pages.setdefault(signal.slug, set()).add(page_key(signal.page_url))
    ranked = sorted(pages, key=lambda slug: -len(pages[slug]))
    if not ranked or (len(ranked) > 1 and len(pages[ranked[0]]) == len(pages[ranked[1]])):
        return None
    return ranked[0]
