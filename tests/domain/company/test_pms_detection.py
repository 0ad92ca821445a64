"""The PMS result for the signals of a site."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.pms_detection import Confidence, PmsDetection, PmsSignal, SignalKind, page_key, pms_verdict
from domain.company.pms_vendors import AddOn, HoaSystem, PmsVendor, Product, ShortTermRentalSystem

HOME, SECOND = "https://acme.example/", "https://acme.example/residents"


def signal(
    vendor: Product = PmsVendor.BUILDIUM,
    kind: SignalKind = SignalKind.PORTAL_LINK,
    page_url: str = HOME,
    slug: str | None = "acme",
    confidence: Confidence | None = "high",
) -> PmsSignal:
    if isinstance(vendor, AddOn):
        confidence = None
    return PmsSignal(
        vendor=vendor, kind=kind, host="acme.vendor.example", slug=slug, page_url=page_url, evidence="//", confidence=confidence
    )  # fmt: skip


SIGNALS = st.builds(
    signal,
    vendor=st.sampled_from([PmsVendor.BUILDIUM, PmsVendor.APPFOLIO, PmsVendor.YARDI, HoaSystem.CINC, AddOn.LATCHEL]),
    kind=st.sampled_from(SignalKind),
    page_url=st.sampled_from([HOME, SECOND, "https://acme.example/about"]),
    slug=st.sampled_from([None, "acme", "beta"]),
    confidence=st.sampled_from(["high", "medium", "low"]),
)


def test_portal_link_on_two_pages_is_detected() -> None:
    found = pms_verdict([signal(), signal(page_url=SECOND)], 2)
    assert (found.status, found.vendor, found.slug, found.confidence) == ("detected", "Buildium", "acme", "high")


@pytest.mark.parametrize(
    "second_kind", [SignalKind.LISTING_WIDGET, SignalKind.REDIRECT, SignalKind.ASSET, SignalKind.TEXT]
)
def test_second_kind_on_the_same_page_confirms(second_kind: SignalKind) -> None:
    assert pms_verdict([signal(), signal(kind=second_kind)], 1).vendor is PmsVendor.BUILDIUM


def test_single_signal_is_unconfirmed() -> None:
    assert pms_verdict([signal()], 4) == PmsDetection(status="unknown", reason="unconfirmed", signals=(signal(),))


def test_page_under_two_addresses_does_not_confirm_itself() -> None:
    pages = ["http://www.acme.example", "https://acme.example/#top", "https://ACME.example/"]
    assert pms_verdict([signal(page_url=page) for page in pages], 1).reason == "unconfirmed"
    assert len({page_key(page) for page in pages}) == 1
    assert page_key("https://acme.example/?p=1") != page_key("https://acme.example/?p=2")


@pytest.mark.parametrize("kinds", [[SignalKind.ASSET], [SignalKind.TEXT], [SignalKind.ASSET, SignalKind.TEXT]])
def test_assets_and_text_alone_prove_nothing(kinds: list[SignalKind]) -> None:
    found = pms_verdict([signal(kind=kind, page_url=page) for kind in kinds for page in (HOME, SECOND)], 2)
    assert (found.status, found.reason) == ("unknown", "unconfirmed")


def test_portal_links_of_two_vendors_conflict() -> None:
    found = pms_verdict([signal(), signal(page_url=SECOND), signal(PmsVendor.APPFOLIO)], 2)
    assert (found.status, found.vendor, found.reason) == ("conflict", None, None)
    assert {s.vendor for s in found.signals} == {PmsVendor.BUILDIUM, PmsVendor.APPFOLIO}


def test_portal_link_outranks_another_vendors_widget() -> None:
    widget = [signal(PmsVendor.APPFOLIO, SignalKind.LISTING_WIDGET, page) for page in (HOME, SECOND)]
    assert pms_verdict([signal(), *widget], 2).reason == "unconfirmed"
    assert pms_verdict([signal(), signal(page_url=SECOND), *widget], 2).vendor is PmsVendor.BUILDIUM


def test_widgets_of_two_vendors_are_unconfirmed() -> None:
    signals = [
        signal(vendor, SignalKind.LISTING_WIDGET, page)
        for vendor in (PmsVendor.APPFOLIO, PmsVendor.RENTVINE)
        for page in (HOME, SECOND)
    ]
    assert pms_verdict(signals, 2).reason == "unconfirmed"


def test_confidence_comes_from_the_strongest_kind() -> None:
    low = [signal(PmsVendor.HEMLANE, page_url=page, confidence="low") for page in (HOME, SECOND)]
    assert pms_verdict(low, 2).confidence == "low"
    assert pms_verdict([*low, signal(PmsVendor.HEMLANE, SignalKind.REDIRECT, confidence="high")], 2).confidence == "low"


def test_slug_is_unknown_on_a_tie() -> None:
    both = [signal(slug=slug, page_url=page) for slug in ("acme", "beta") for page in (HOME, SECOND)]
    assert pms_verdict(both, 2).vendor is PmsVendor.BUILDIUM
    assert pms_verdict(both, 2).slug is None
    assert pms_verdict([*both, signal(page_url="https://acme.example/about")], 3).slug == "acme"


@pytest.mark.parametrize(
    ("pages", "status", "reason"),
    [(0, "unknown", "no_portal_link"), (1, "unknown", "no_portal_link"), (2, "none", None)],
)
def test_none_needs_two_clean_pages(pages: int, status: str, reason: str | None) -> None:
    found = pms_verdict([], pages)
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize("problem", ["no_site", "blocked"])
def test_site_problem_is_the_reason_and_never_none(problem: str) -> None:
    found = pms_verdict([], 2, site_problem="no_site" if problem == "no_site" else "blocked")
    assert (found.status, found.reason) == ("unknown", problem)


def test_other_products_are_never_the_pms() -> None:
    others = [
        signal(vendor, page_url=page)
        for vendor in (HoaSystem.CINC, ShortTermRentalSystem.GUESTY, AddOn.PROPERTY_MELD)
        for page in (HOME, SECOND)
    ]
    found = pms_verdict(others, 2)
    assert (found.status, found.signals) == ("none", ())
    assert {s.vendor for s in found.negative} == {HoaSystem.CINC, ShortTermRentalSystem.GUESTY}
    assert {s.vendor for s in found.addons} == {AddOn.PROPERTY_MELD}
    with_portal = pms_verdict([*others, signal(), signal(page_url=SECOND)], 2)
    assert with_portal.vendor is PmsVendor.BUILDIUM


@settings(deadline=None)
@given(st.lists(SIGNALS, max_size=12), st.integers(0, 4))
def test_result_ignores_order_and_repetition(signals: list[PmsSignal], pages: int) -> None:
    again = sorted(signals * 2, key=lambda s: s.model_dump_json(), reverse=True)
    assert pms_verdict(signals, pages) == pms_verdict(again, pages)


@settings(deadline=None)
@given(st.lists(SIGNALS, max_size=12), st.integers(0, 4))
def test_detected_vendor_always_has_confirmed_proof(signals: list[PmsSignal], pages: int) -> None:
    found = pms_verdict(signals, pages)
    linked = {s.vendor for s in signals if s.category == "pms" and s.kind is SignalKind.PORTAL_LINK}
    assert (found.status == "conflict") == (len(linked) > 1)
    assert (found.status == "none") == (not found.signals and pages >= 2)
    if found.status == "detected":
        own = [s for s in signals if s.vendor == found.vendor]
        assert any(s.kind.can_prove for s in own)
        assert len({s.page_url for s in own}) > 1 or len({s.kind for s in own}) > 1
    assert (found.status == "detected") == (found.vendor is not None) == (found.confidence is not None)
    assert (found.status == "unknown") == (found.reason is not None)
    assert found.slug is None or found.status == "detected"
    assert PmsDetection.model_validate_json(found.model_dump_json()) == found
