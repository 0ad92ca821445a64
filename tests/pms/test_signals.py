"""From one page to signals."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.pms_detection import PmsSignal, SignalKind, SitePage
from domain.company.pms_vendors import AddOn, PmsVendor, ShortTermRentalSystem
from pms.signals import MAX_EVIDENCE_LENGTH, read_page, redirect_signals

HOME = "https://www.acme.example/"
VENDOR_WORDS = [
    "buildium", "managebuilding", "appfolio", "rentvine", "propertyware", "rentmanager", "rent manager", "yardi",
    "rentcafe", "securecafe", "entrata", "residentportal", "realpage", "onesite", "resman", "myresman", "doorloop",
    "rentecdirect", "tenantcloud", "innago", "hemlane", "passport.appf", "cincwebaxis", "lodgify", "propertymeld",
]  # fmt: skip


def signals_of(body: str, head: str = "") -> tuple[PmsSignal, ...]:
    html = f"<!doctype html><html><head><title>Acme</title>{head}</head><body><a href='/'>Acme</a>{body}</body></html>"
    return read_page(html, HOME).signals


def only(body: str, head: str = "") -> PmsSignal:
    (signal,) = signals_of(body, head)
    return signal


def test_a_portal_link_is_quoted_as_the_page_has_it() -> None:
    signal = only("<a href=' HTTPS://Acme.ManageBuilding.com/Resident/?a=1&amp;b=2 '>Residents</a>")
    assert signal.model_dump() == {
        "vendor": PmsVendor.BUILDIUM,
        "kind": SignalKind.PORTAL_LINK,
        "host": "acme.managebuilding.com",
        "slug": "acme",
        "page_url": HOME,
        "evidence": " HTTPS://Acme.ManageBuilding.com/Resident/?a=1&b=2 ",
        "confidence": "high",
    }


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<a href='//acme.rentvine.com/portals/owner'>x</a>", SignalKind.PORTAL_LINK),
        ("<map><area href='//acme.rentvine.com/portals/owner'></map>", SignalKind.PORTAL_LINK),
        ("<form action='//acme.rentvine.com/portals/owner'></form>", SignalKind.PORTAL_LINK),
        ("<iframe src='//acme.rentvine.com/public/listings'></iframe>", SignalKind.LISTING_WIDGET),
        ("<iframe data-src='//acme.rentvine.com/public/listings'></iframe>", SignalKind.LISTING_WIDGET),
        ("<script src='https://app.rentvine.com/public/widget.js'></script>", SignalKind.LISTING_WIDGET),
        ("<script src='https://cdn.rentvine.com/a.js'></script>", SignalKind.ASSET),
        ("<script src='https://acme.rentvine.com/a.js'></script>", SignalKind.ASSET),
        ("<link rel=preconnect href='https://acme.rentvine.com'>", SignalKind.ASSET),
        ("<script>location = 'https://acme.rentvine.com/portals/owner'</script>", SignalKind.ASSET),
        ("<a href=\"javascript:window.open('https://acme.rentvine.com/portals')\">x</a>", SignalKind.ASSET),
        ("<button onclick=\"go('https://acme.rentvine.com/portals')\">x</button>", SignalKind.ASSET),
        ("<p>Pay at acme.rentvine.com/portals/resident.</p>", SignalKind.TEXT),
    ],
)  # fmt: skip
def test_where_it_stands_decides_the_kind(body: str, kind: SignalKind) -> None:
    signal = only(body)
    assert (signal.vendor, signal.kind) == (PmsVendor.RENTVINE, kind)
    assert (signal.confidence == "high") == kind.can_prove


@pytest.mark.parametrize(
    "script",
    [
        "Appfolio.Listing({hostUrl: 'acme.appfolio.com', height: '500px'});",
        'Appfolio.Listing({ themeColor: "#fff",\n  "hostUrl": "https://acme.appfolio.com" });',
        "window.Appfolio . Listing ( { hostUrl:`//acme.appfolio.com/` } )",
        "Appfolio.Listing({hostUrl: 'ACME.appfolio.com'})",
    ],
)
def test_the_listing_call_is_a_widget_with_or_without_a_scheme(script: str) -> None:
    signal = only(f"<script>{script}</script>")
    assert (signal.vendor, signal.kind, signal.slug) == (PmsVendor.APPFOLIO, SignalKind.LISTING_WIDGET, "acme")
    assert signal.evidence in script


@pytest.mark.parametrize(
    "script",
    [
        "Appfolio.Listing({hostUrl: HOST})",
        "Appfolio.Listing({hostUrl: 'listings.acme.example'})",
        "Appfolio.Listing({hostUrl: 'appfolio.com.evil.example'})",
        "Appfolio.Listing({hostUrl: 'demo1.appfolio.com'})",
        "NotAppfolio.Listing({hostUrl: 'acme.other.example'})",
    ],
)
def test_a_listing_call_without_an_account_is_no_signal(script: str) -> None:
    assert signals_of(f"<script>{script}</script>") == ()


def test_the_embed_code_of_the_wild_written_with_document_write() -> None:
    """The loader is written percent-encoded; its address stands in the script's words."""
    body = (
        "<script>document.write(unescape(\"%3Cscript src='\" + (('https:' == location.protocol) ? 'https:' : 'http:')"
        " + \"//acme.appfolio.com/javascripts/listing.js' type='text/javascript'%3E%3C/script%3E\"));</script>"
        "<script>Appfolio.Listing({\n hostUrl: 'acme.appfolio.com',\n //propertyGroup: 'x',\n height: '9px'});</script>"
    )
    signal = only(body)
    assert (signal.kind, signal.host, signal.slug) == (SignalKind.LISTING_WIDGET, "acme.appfolio.com", "acme")


def test_a_link_and_a_widget_are_two_kinds() -> None:
    found = signals_of(
        "<a href='https://acme.appfolio.com/connect'>x</a>"
        "<script src='//acme.appfolio.com/javascripts/listing.js'></script>"
    )
    assert [signal.kind for signal in found] == [SignalKind.PORTAL_LINK, SignalKind.LISTING_WIDGET]


def test_page_data_that_repeats_a_link_is_no_second_kind() -> None:
    """Site builders copy every link into page data and preconnect hints; a copy agrees with nothing."""
    data = '{"nav":[{"url":"https:\\/\\/acme.managebuilding.com\\/Resident"}]}'
    signal = only(
        f"<script type='application/json'>{data}</script><p>acme.managebuilding.com</p>"
        "<a href='https://acme.managebuilding.com/Resident'>x</a>",
        head="<link rel=dns-prefetch href='//acme.managebuilding.com'>",
    )
    assert signal.kind is SignalKind.PORTAL_LINK


def test_script_words_are_quoted_raw() -> None:
    signal = only('<script>{"url":"https:\\/\\/acme.managebuilding.com\\/Resident"}</script>')
    assert signal.evidence == "https:\\/\\/acme.managebuilding.com\\/Resident"
    assert signal.slug == "acme"


def test_many_links_to_one_account_are_one_signal() -> None:
    links = "".join(f"<a href='https://acme.appfolio.com/listings/detail/{n}'>{n}</a>" for n in range(50))
    assert len(signals_of(links)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "<iframe src='https://passport.appf.io/sign_in'></iframe>",
        "<script src='https://app.doorloop.com/tenant-portal/a.js'></script>",
        "<script>var login = 'https://app.hemlane.com/'</script>",
        "<p>Sign in at home.tenantcloud.com</p>",
        "<!-- <a href='https://acme.managebuilding.com/Resident'>old portal</a> -->",
        "<template><a href='https://acme.managebuilding.com/Resident'>x</a></template>",
        "<a href='mailto:rent@acme.appfolio.com'>rent@acme.appfolio.com</a>",
        "<p>https://evil.example/acme.managebuilding.com/Resident acme.managebuilding.com.evil.example</p>",
        "<script>var next = 'https://evil.example/?u=https%3A%2F%2Facme.appfolio.com%2Fconnect'</script>",
        "<a href='acme.appfolio.com/connect'>a path of our own site</a>",
        "<a href='http://[::1'>broken</a>",
        "<a href>nowhere</a><iframe></iframe><form></form>",
    ],
)
def test_what_is_no_signal(body: str) -> None:
    assert signals_of(body) == ()


def test_a_base_address_is_where_relative_links_start() -> None:
    head = "<base href='https://acme.appfolio.com/'><link rel=icon href='http://[::1'>"
    html = f"<html><head>{head}</head><body><a href='connect'>Residents</a></body></html>"
    (signal,) = read_page(html, HOME).signals
    assert (signal.kind, signal.slug, signal.evidence) == (SignalKind.PORTAL_LINK, "acme", "connect")


def test_negative_systems_and_add_ons_are_seen_as_such() -> None:
    found = signals_of(
        "<a href='https://app.propertymeld.com/tenant/acme'>x</a><a href='https://acme.lodgify.com/'>y</a>"
    )
    assert [(s.vendor, s.category, s.slug, s.confidence) for s in found] == [
        (AddOn.PROPERTY_MELD, "add_on", "acme", None),
        (ShortTermRentalSystem.LODGIFY, "short_term_rental", "acme", "medium"),
    ]


def test_evidence_is_bounded() -> None:
    signal = only(f"<a href='https://acme.appfolio.com/connect?{'x' * 5000}'>x</a>")
    assert len(signal.evidence) == MAX_EVIDENCE_LENGTH


@pytest.mark.parametrize(
    ("html", "is_clean", "is_challenge"),
    [
        ("<title>Acme</title><a href='/about'>About</a>", True, False),
        (b"<title>Acme</title><a href='/about'>About</a>", True, False),
        ("", False, False),
        ("<div id=root></div><script src=/app.js></script>", False, False),
        ("<body><noscript><a href='https://on.example'>Turn on scripts</a></noscript><div></div>", False, False),
        ("<title>Just a moment...</title><a href='https://x.example'>x</a>", False, True),
        ("<title> Attention Required! | Cloudflare</title><a href='/'>x</a>", False, True),
        ("<title>Acme: just a moment from downtown</title><a href='/'>x</a>", True, False),
    ],
)
def test_a_page_is_clean_when_it_shows_its_links(html: str | bytes, is_clean: bool, is_challenge: bool) -> None:
    reading = read_page(html, HOME)
    assert (reading.is_clean, reading.is_challenge) == (is_clean, is_challenge)


@pytest.mark.parametrize(
    ("final_url", "redirects", "hosts"),
    [
        ("https://acme.managebuilding.com/Resident", (), {"acme.managebuilding.com"}),
        (HOME, ("https://acme.managebuilding.com/x",), {"acme.managebuilding.com"}),
        ("https://app.doorloop.com/tenant-portal/login", (), set()),
        ("https://www.buildium.com/", (), set()),
        (HOME + "login", (HOME + "login",), set()),
    ],
)
def test_a_redirect_to_a_companys_own_portal_is_a_signal(
    final_url: str, redirects: tuple[str, ...], hosts: set[str]
) -> None:
    found = redirect_signals(SitePage(url=HOME + "login", final_url=final_url, html="", redirects=redirects))
    assert {signal.host for signal in found} == hosts
    assert all(signal.kind is SignalKind.REDIRECT and signal.page_url == HOME + "login" for signal in found)


FILLER = st.text(string.ascii_lowercase + "-", max_size=8)


@settings(deadline=None)  # the machine may be busy
@given(
    st.sampled_from(VENDOR_WORDS),
    FILLER,
    FILLER,
    st.sampled_from(["com", "net", "io", "org", "biz", "cloud", "example"]),
)
def test_a_vendors_word_anywhere_else_never_yields_a_signal(word: str, before: str, after: str, suffix: str) -> None:
    name = word.replace(" ", "")
    filled = f"{before}{word}{after}"
    inside = f"x{before}{name}{after}x".replace(".", "-")  # never exactly the vendor's own label
    body = (
        f"<p>{filled} {word}: we use {word}. {word}!</p><h1>{word}</h1><img src='https://cdn.example/{name}.png'>"
        f"<a href='/blog/why-we-left-{name}'>{word}</a><a href='/{filled}/{name}.{suffix}/connect'>x</a>"
        f"<a href='https://{inside}.{suffix}/Resident/connect/portals'>x</a>"
        f"<a href='https://{name}.{inside}.{suffix}/residentservices'>x</a>"
        f"<a href='https://acme.{name}.{suffix}.evil.example/connect'>x</a>"
        f"<a href='https://evil.example/{name}.{suffix}/Resident?to=https://acme.{name}.com/#https://acme.{name}.com'>x</a>"
        f"<iframe src='https://{inside}.{suffix}/listings'></iframe><script src='https://evil.example/{name}.js'></script>"
        f"<form action='https://{inside}.{suffix}/{name}'></form>"
        f"<script>var {name[:4]} = '{filled} {inside}.{suffix}';</script>"
    )
    assert signals_of(body, head=f"<meta name=generator content='{word}'><link href='/{name}.css'>") == ()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "html",
    [
        f"<p>{'a.' * 200_000}appfolio.com</p>",
        f"<script>{'//' * 200_000}appfolio.com</script>",
        f"<script>{'acme.appfolio.com/ ' * 50_000}</script>",
        f"<script>{'Appfolio.Listing({ hostUrl ' * 20_000} x.appfolio.com</script>",
        f"<a href='//{'@' * 200_000}'>x</a>",
    ],
    ids=["dots", "slashes", "hosts", "calls", "users"],
)
def test_a_hostile_page_costs_seconds_at_most(html: str) -> None:
    read_page(html, HOME)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=300))
def test_no_page_is_too_odd_to_read(html: str) -> None:
    read_page(html, HOME)
    read_page(f"<a href='https://acme.appfolio.com/{html}'>{html}</a><script>{html}</script>", HOME)
