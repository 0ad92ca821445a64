"""Detect a company's PMS from the signals on its site (docs/domain.md, "Property management software").

``pms/`` finds the signals.
"""

import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, TypeAlias

from domain.company.pms_vendors import PmsVendor, Product, ProductCategory, category_of
from domain.frozen_model import FrozenModel

Confidence: TypeAlias = Literal["high", "medium", "low"]
PmsStatus: TypeAlias = Literal["detected", "none", "unknown", "conflict"]
PmsReason: TypeAlias = Literal["no_site", "blocked", "no_portal_link", "unconfirmed"]
SiteProblem: TypeAlias = Literal["no_site", "blocked"]

_CLEAN_PAGES_FOR_NONE = 2


class SignalKind(StrEnum):
    """How a page shows a product, strongest kind first."""

    PORTAL_LINK = "portal_link"
    LISTING_WIDGET = "listing_widget"
    REDIRECT = "redirect"
    ASSET = "asset"
    TEXT = "text"

    @property
    def rank(self) -> int:
        return _RANKS[self]

    @property
    def can_prove(self) -> bool:
        """Whether this kind can identify the vendor. Assets and text can only confirm another signal."""
        return self in _PROVING


_RANKS = {kind: rank for rank, kind in enumerate(SignalKind)}
_PROVING = frozenset({SignalKind.PORTAL_LINK, SignalKind.LISTING_WIDGET, SignalKind.REDIRECT})


class SitePage(FrozenModel):
    """A stored page of the company's own site. It answered at ``final_url``."""

    url: str
    final_url: str
    html: str
    redirects: tuple[str, ...] = ()


class PmsSignal(FrozenModel):
    """One product shown in one way on one page.

    Attributes:
        slug: the company's account name at the vendor.
        page_url: page that shows the product. For a redirect, the requested URL.
        evidence: exact attribute value, address or script text, at most 500 characters.
        confidence: from the matched rule, but low for assets and text. None for an add-on.
    """

    vendor: Product
    kind: SignalKind
    host: str
    slug: str | None
    page_url: str
    evidence: str
    confidence: Confidence | None

    @property
    def category(self) -> ProductCategory:
        return category_of(self.vendor)


class PmsDetection(FrozenModel):
    """PMS of one site. ``vendor`` is set if the status is ``detected``, and ``reason`` if it is ``unknown``.

    Attributes:
        slug: the account at the vendor. None if it is unclear.
        signals: PMS signals, strongest first.
        negative: signals of HOA and short-term rental software.
    """

    status: PmsStatus
    vendor: PmsVendor | None = None
    slug: str | None = None
    confidence: Confidence | None = None
    reason: PmsReason | None = None
    signals: tuple[PmsSignal, ...] = ()
    negative: tuple[PmsSignal, ...] = ()
    addons: tuple[PmsSignal, ...] = ()


def pms_verdict(
    signals: Iterable[PmsSignal],
    pages_read_cleanly: int,
    *,
    site_problem: SiteProblem | None = None,
    claimed_in_words: bool = False,
) -> PmsDetection:
    """Combine all signals of one site into one result. Their order does not matter.

    - Portal links of two vendors give ``conflict``.
    - Otherwise the strongest kind of signal decides. Its vendor is ``detected`` if that kind can prove it, and a second page
      or kind confirms it. If not, the result is ``unknown``.
    - Without PMS signals, two clean pages and no site problem give ``none``. Anything else is ``unknown``.

    Args:
        pages_read_cleanly: number of the company's own pages that showed their content.
        site_problem: why all or part of the site could not be read.
        claimed_in_words: a page mentions a PMS ("rent is paid through Buildium") without its address. This does not prove
            the vendor, but it rules out ``none``.
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
        if pages_read_cleanly >= _CLEAN_PAGES_FOR_NONE and site_problem is None:
            return PmsDetection(status="none", **sightings)
        return PmsDetection(status="unknown", reason=site_problem or "no_portal_link", **sightings)
    if len({vendor for vendor, signal in pms if signal.kind is SignalKind.PORTAL_LINK}) > 1:
        return PmsDetection(status="conflict", **sightings)
    leader, strongest = pms[0][0], pms[0][1].kind
    is_tied = any(vendor is not leader for vendor, signal in pms if signal.kind is strongest)
    own = [signal for vendor, signal in pms if vendor is leader]
    if is_tied or not strongest.can_prove or not _is_confirmed(own):
        return PmsDetection(status="unknown", reason="unconfirmed", **sightings)
    grades = {signal.confidence for signal in own if signal.kind is strongest}
    confidence: Confidence = "high" if "high" in grades else "medium" if "medium" in grades else "low"
    return PmsDetection(status="detected", vendor=leader, slug=_slug(own), confidence=confidence, **sightings)


def page_key(url: str) -> str:
    """Return the URL without scheme, ``www.``, fragment and trailing slash."""
    bare = re.sub(r"^(?:https?:)?//(?:www\.)?", "", url.strip(), flags=re.IGNORECASE).partition("#")[0]
    host, slash, rest = bare.partition("/")
    return f"{host.lower()}{slash}{rest}".rstrip("/")


def _order(signal: PmsSignal) -> tuple[int, list[str]]:
    parts = (signal.vendor, signal.host, signal.slug, signal.page_url, signal.evidence, signal.confidence)
    return signal.kind.rank, [part or "" for part in parts]


def _is_confirmed(signals: list[PmsSignal]) -> bool:
    return len({page_key(signal.page_url) for signal in signals}) > 1 or len({signal.kind for signal in signals}) > 1


def _slug(signals: list[PmsSignal]) -> str | None:
    """Return the account seen on the most pages. None on a tie, because a wrong account would merge two companies."""
    pages = {(s.slug, page_key(s.page_url)) for s in signals if s.slug is not None and s.kind.can_prove}
    ranked = Counter(slug for slug, _ in sorted(pages)).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
