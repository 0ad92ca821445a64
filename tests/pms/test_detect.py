"""From the pages of a company's site to a verdict."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.pms_detection import SignalKind, SitePage
from domain.company.pms_vendors import AddOn, HoaSystem, PmsVendor
from pms.detect import LIKELY_WORDS, detect_pms, likely_pages

SITE = "https://www.acme.example"
BUILDIUM = "<a href='https://acme.managebuilding.com/Resident/portal/login'>Residents</a>"
APPFOLIO = "<a href='https://acme.appfolio.com/connect'>Residents</a>"
WIDGET = "<script>Appfolio.Listing({hostUrl: 'acme.appfolio.com'})</script>"


def page(path: str = "/", body: str = "", final_url: str | None = None, redirects: Sequence[str] = ()) -> SitePage:
    html = f"<html><title>Acme {path}</title><body><a href='/about'>About</a><h1>{path}</h1>{body}</body></html>"
    return SitePage(url=SITE + path, final_url=final_url or SITE + path, html=html, redirects=tuple(redirects))


def test_a_link_on_two_pages_detects() -> None:
    found = detect_pms([page("/", BUILDIUM), page("/residents", BUILDIUM)])
    assert (found.status, found.vendor, found.slug, found.confidence) == (
        "detected",
        PmsVendor.BUILDIUM,
        "acme",
        "high",
    )
    assert {signal.page_url for signal in found.signals} == {SITE + "/", SITE + "/residents"}


def test_a_link_and_a_widget_on_one_page_detect() -> None:
    assert detect_pms([page("/", APPFOLIO + WIDGET)]).vendor is PmsVendor.APPFOLIO


def test_a_link_and_a_redirect_detect() -> None:
    portal = "https://acme.managebuilding.com/Resident"
    found = detect_pms([page("/", BUILDIUM), page("/login", final_url=portal, redirects=[SITE + "/login", portal])])
    assert found.vendor is PmsVendor.BUILDIUM
    assert [signal.kind for signal in found.signals] == [SignalKind.PORTAL_LINK, SignalKind.REDIRECT]


def test_one_link_alone_is_unconfirmed() -> None:
    found = detect_pms([page("/", BUILDIUM), page("/about"), page("/owners")])
    assert (found.status, found.reason, len(found.signals)) == ("unknown", "unconfirmed", 1)


def test_two_vendors_in_portal_links_conflict() -> None:
    found = detect_pms([page("/", BUILDIUM + APPFOLIO), page("/residents", BUILDIUM)])
    assert (found.status, found.vendor) == ("conflict", None)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("Rent is paid online through Buildium; ask us for your invitation.", "unknown"),
        ("Questions on your AppFolio portal? Call us.", "unknown"),
        ("Why we left AppFolio", "none"),
        ("Talk to your rent manager, or use the drop box; we use Buildings only.", "none"),
    ],
    ids=["paid through it", "its portal", "left it", "other words"],
)
def test_a_claim_in_words_rules_out_none(words: str, status: str) -> None:
    found = detect_pms([page("/", f"<p>{words}</p>"), page("/about")])
    assert (found.status, found.signals) == (status, ())
    assert found.reason == ("unconfirmed" if status == "unknown" else None)


def test_none_only_after_two_clean_pages() -> None:
    assert detect_pms([page("/"), page("/about")]).status == "none"
    one = detect_pms([page("/")])
    assert (one.status, one.reason) == ("unknown", "no_portal_link")


def test_the_same_content_twice_is_one_page() -> None:
    """A site of one script answers every address with the same page; two of them prove nothing."""
    first = page("/")
    copy = SitePage(url=SITE + "/residents", final_url=SITE + "/residents", html=first.html)
    assert detect_pms([first, copy]).status == "unknown"
    linked = page("/", BUILDIUM)
    assert detect_pms([linked, copy.model_copy(update={"html": linked.html})]).reason == "unconfirmed"


def test_two_addresses_of_one_page_are_one_page() -> None:
    again = page("/home", BUILDIUM + "<p>now</p>", final_url="http://acme.example/")
    assert detect_pms([page("/", BUILDIUM), again]).reason == "unconfirmed"


def test_script_shells_are_not_read_cleanly() -> None:
    shell = "<html><body><div id='root'></div><script src='/app.js'></script></body></html>"
    pages = [
        SitePage(url=SITE + p, final_url=SITE + p, html=shell + f"<!-- {p} -->") for p in ("/", "/about", "/owners")
    ]
    found = detect_pms(pages)
    assert (found.status, found.reason) == ("unknown", "no_portal_link")


def test_no_site_and_blocked_are_reasons() -> None:
    assert detect_pms([]).reason == "no_site"
    assert detect_pms([], site_problem="blocked").reason == "blocked"
    assert detect_pms([page("/"), page("/about")], site_problem="blocked").reason == "blocked"
    challenge = SitePage(url=SITE, final_url=SITE, html="<title>Just a moment...</title><a href='/'>x</a>")
    assert detect_pms([challenge]).reason == "blocked"


def test_proof_that_was_read_before_the_block_still_counts() -> None:
    assert detect_pms([page("/", BUILDIUM), page("/r", BUILDIUM)], site_problem="blocked").vendor is PmsVendor.BUILDIUM


SHARED = "<a href='https://app.doorloop.com/tenant-portal/auth/login'>Tenants</a>"


def test_a_shared_sign_in_host_counts_as_a_link() -> None:
    found = detect_pms([page("/", SHARED), page("/tenants", SHARED)])
    assert (found.vendor, found.slug, found.confidence) == (PmsVendor.DOORLOOP, None, "high")


def test_a_shared_sign_in_host_counts_only_as_a_link_on_a_site() -> None:
    frame = SHARED.replace("<a href", "<iframe src")
    away = page("/login", final_url="https://app.doorloop.com/tenant-portal/auth/login")
    assert detect_pms([page("/", frame), page("/tenants", frame), away]).status == "none"


def test_a_page_of_another_site_never_speaks_for_the_company() -> None:
    elsewhere = [
        page("/login", BUILDIUM + "<p>1</p>", final_url="https://acme.managebuilding.com/Resident"),
        page("/reviews", BUILDIUM + "<p>2</p>", final_url="https://www.yelp.com/biz/acme"),
        page("/partner", BUILDIUM + "<p>3</p>", final_url="https://other.example/"),
        SitePage(url="https://www.yelp.com/", final_url="https://www.yelp.com/", html=BUILDIUM),
        SitePage(url="https://acme.managebuilding.com/", final_url="https://acme.managebuilding.com/", html=BUILDIUM),
    ]
    found = detect_pms([*elsewhere, page("/"), page("/about")])
    assert (found.status, found.reason) == ("unknown", "unconfirmed")
    assert [signal.kind for signal in found.signals] == [SignalKind.REDIRECT]
    assert detect_pms(elsewhere[-1:]).reason == "no_site"


def test_a_portal_asked_for_directly_is_no_page_of_the_company() -> None:
    """A portal host is evidence of an account, never the company's site."""
    portal = "https://acme.managebuilding.com/"
    found = detect_pms([SitePage(url=portal, final_url=portal + "Resident", html=BUILDIUM, redirects=(portal + "x",))])
    assert (found.reason, found.signals) == ("no_site", ())


def test_a_moved_site_is_still_the_companys() -> None:
    home = page("/", BUILDIUM, final_url="https://acmehomes.example/")
    second = SitePage(
        url="https://acmehomes.example/r", final_url="https://acmehomes.example/r", html=page("/r", BUILDIUM).html
    )
    assert detect_pms([home, second]).vendor is PmsVendor.BUILDIUM
    assert (
        detect_pms([page("/", APPFOLIO + WIDGET, final_url="https://acmehomes.example/")]).vendor is PmsVendor.APPFOLIO
    )
    assert detect_pms([page("/x", APPFOLIO + WIDGET, final_url="https://acmehomes.example/")]).reason == "no_site"
    assert detect_pms([page("/", BUILDIUM, final_url="https://www.facebook.com/acme")]).reason == "no_site"


def test_a_company_on_a_free_host_is_read() -> None:
    pages = [
        SitePage(url=f"https://acme.wixsite.com/{p}", final_url=f"https://acme.wixsite.com/{p}", html=BUILDIUM + p)
        for p in "ab"
    ]
    assert detect_pms(pages).vendor is PmsVendor.BUILDIUM


def test_add_ons_and_negative_systems_are_never_the_pms() -> None:
    others = (
        "<a href='https://app.propertymeld.com/tenant/acme'>Repairs</a><a href='https://acme.cincwebaxis.com/'>Boards</a>"
        "<script src='https://showmojo.com/iframe_v2.js'></script>"
    )
    found = detect_pms([page("/", others), page("/about", others)])
    assert (found.status, found.vendor) == ("none", None)
    assert {signal.vendor for signal in found.addons} == {AddOn.PROPERTY_MELD, AddOn.SHOWMOJO}
    assert {signal.vendor for signal in found.negative} == {HoaSystem.CINC}


def test_a_vendors_marketing_links_are_no_trace() -> None:
    links = (
        "<a href='https://www.buildium.com/'>Powered by Buildium</a><a href='https://support.appfolio.com/'>Help</a>"
    )
    assert detect_pms([page("/", links), page("/about", links)]).status == "none"


PARTS = st.lists(
    st.sampled_from(
        [
            BUILDIUM,
            APPFOLIO,
            WIDGET,
            SHARED,
            "<p>AppFolio</p>",
            "<p>acme.rentvine.com</p>",
            "<script src='//cdn.rentvine.com/x.js'></script>",
        ]
    ),
    max_size=3,
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(PARTS, min_size=1, max_size=4), st.booleans())
def test_the_order_of_the_pages_does_not_matter(bodies: list[list[str]], redirected: bool) -> None:
    pages = [page(f"/{number}", "".join(body)) for number, body in enumerate(bodies)]
    if redirected:
        pages.append(page("/login", final_url="https://acme.managebuilding.com/Resident"))
    assert len({detect_pms(order).model_dump_json() for order in (pages, pages[::-1], pages[1:] + pages[:1])}) == 1


def home(*links: str) -> str:
    return "<html><body>" + "".join(links) + "</body></html>"


def link(href: str, text: str = "x") -> str:
    return f"<a href='{href}'>{text}</a>"


def test_likely_pages_take_one_of_each_word_first() -> None:
    html = home(
        *(link(path) for path in ("/about-us", "/residents/faq", "/residents", "/owner-portal", "/rentals", "/team"))
    )
    assert likely_pages(html, SITE, limit=10) == [
        SITE + "/residents", SITE + "/owner-portal", SITE + "/rentals", SITE + "/about-us", SITE + "/residents/faq",
    ]  # fmt: skip
    assert likely_pages(html, SITE) == [SITE + "/residents", SITE + "/owner-portal", SITE + "/rentals"]


@pytest.mark.parametrize("word", LIKELY_WORDS)
def test_each_word_counts_in_the_path_and_in_the_text(word: str) -> None:
    assert likely_pages(home(link(f"/{word}s/")), SITE) == [f"{SITE}/{word}s/"]
    assert likely_pages(home(link("/p7", f"Your {word.title()} page")), SITE) == [SITE + "/p7"]


def test_likely_pages_exclude_other_sites_posts_and_files() -> None:
    html = home(
        link("https://acme.managebuilding.com/Resident", "Residents"),
        link("https://other.example/residents"),
        link("/blog/how-to-find-tenants"),
        link("/2024/05/tenants-rights"),
        link("/tenant-handbook.pdf"),
        link("mailto:owner@acme.example", "Owner"),
        link("tel:5125550100", "Pay"),
        link("http://[::1/tenant"),
        link("#login", "Login"),
        link("/", "Portal"),
        link("/tenants#pay"),
        link("http://acme.example/tenants/"),
        link("//portal.acme.example/login"),
        link("/company/renowner", "Company"),
    )
    assert likely_pages(html, SITE) == [SITE + "/tenants", "https://portal.acme.example/login"]


def test_relative_links_start_at_the_base_address() -> None:
    html = "<html><head><base href='/en/'></head><body><a href='tenants'>x</a></body></html>"
    assert likely_pages(html, SITE) == [SITE + "/en/tenants"]
