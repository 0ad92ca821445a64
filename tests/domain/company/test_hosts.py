"""Hosts compare in one form, sites by registrable domain, and some sites are nobody's own (DOMAIN, "Identity")."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.excluded_sites import (
    ExcludedSiteKind,
    ExcludedSitesError,
    excluded_site_kind,
    is_company_domain,
    read_excluded_sites,
)
from domain.company.hosts import host_and_parents, normalized_host, registrable_domain, same_registrable_domain
from pms.rules import rule_table

LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12).filter(
    lambda label: label[0].isalpha()
)


@pytest.mark.parametrize(
    ("given_text", "host"),
    [
        ("Acme.COM", "acme.com"),
        ("https://WWW.Acme.com:8443/Path?q=1#top", "www.acme.com"),
        ("//acme.com/x", "acme.com"),
        ("acme.com:443", "acme.com"),
        ("acme.com.", "acme.com"),
        ("https://user:secret@acme.com/", "acme.com"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://192.168.0.1:80/", "192.168.0.1"),
        ("http://[2001:db8::1]/", "[2001:db8::1]"),
        ("acme.com/redirect?to=https://other.com", "acme.com"),
        ("https:\\\\acme.com\\x", "acme.com"),
    ],
)
def test_a_host_has_one_form(given_text: str, host: str) -> None:
    assert normalized_host(given_text) == host
    assert normalized_host(host) == host


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "https://", "mailto:info@acme.com",
        "info@acme.com", "javascript:void(0)", "ftp://acme.com/", "acme..com",
        "-acme.com", "http://[::1", "acme.com:port", "a b.com", "http://1.2.3/", "x" * 64 + ".com", "tel:+15125550100x",
    ],
)  # fmt: skip
def test_what_is_no_host_is_none(text: str) -> None:
    assert normalized_host(text) is None
    assert registrable_domain(text) is None


@pytest.mark.parametrize(
    ("given_text", "domain"),
    [
        ("https://www.acme.co.uk:443/x", "acme.co.uk"),
        ("a.b.acme.com", "acme.com"),
        ("ACME.com.", "acme.com"),
        ("www.bücher.example", "xn--bcher-kva.example"),
        ("www.acme.example", "acme.example"),
        ("acme.wixsite.com", "acme.wixsite.com"),
        ("com", None),
        ("co.uk", None),
        ("wixsite.com", None),
        ("http://10.0.0.1/", None),
        ("http://[::1]/", None),
    ],
)
def test_the_registrable_domain(given_text: str, domain: str | None) -> None:
    assert registrable_domain(given_text) == domain


@settings(deadline=None)  # the machine may be busy
@given(st.lists(LABEL, min_size=0, max_size=3), LABEL, st.sampled_from(["com", "co.uk", "example", "us"]))
def test_subdomains_case_port_and_path_never_change_the_domain(above: list[str], name: str, suffix: str) -> None:
    domain = f"{name}.{suffix}"
    expected = registrable_domain(domain)
    host = ".".join([*above, domain])
    if expected is not None:
        assert registrable_domain(f"HTTPS://{host.upper()}.:8080/{name}?{name}.other.com#x") == expected
        assert same_registrable_domain(host, expected)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=60))
def test_any_text_at_all_gives_a_stable_host_or_none(text: str) -> None:
    host = normalized_host(text)
    assert host is None or normalized_host(host) == host


def test_sites_without_a_domain_are_never_the_same_site() -> None:
    assert not same_registrable_domain("10.0.0.1", "10.0.0.1")


def test_tails_are_whole_labels() -> None:
    assert list(host_and_parents("a.b.com")) == ["a.b.com", "b.com", "com"]


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        ("buildium.com", ExcludedSiteKind.VENDOR),
        ("https://acme.managebuilding.com/Resident", ExcludedSiteKind.VENDOR),
        ("https://www.yelp.com/biz/acme", ExcludedSiteKind.DIRECTORY),
        ("ipropertymanagement.com", ExcludedSiteKind.DIRECTORY),
        ("expertise.com", ExcludedSiteKind.DIRECTORY),
        ("zillow.com", ExcludedSiteKind.LISTING_SITE),
        ("austin.craigslist.org", ExcludedSiteKind.LISTING_SITE),
        ("narpm.org", ExcludedSiteKind.ASSOCIATION),
        ("m.facebook.com", ExcludedSiteKind.SOCIAL),
        ("x.com", ExcludedSiteKind.SOCIAL),
        ("google.com", ExcludedSiteKind.SEARCH),
        ("https://sites.google.com/view/acme", ExcludedSiteKind.FREE_HOST),
        ("acme.wixsite.com", ExcludedSiteKind.FREE_HOST),
        ("wixsite.com", ExcludedSiteKind.FREE_HOST),
        ("hud.gov", ExcludedSiteKind.PUBLIC_BODY),
        ("10.0.0.1", ExcludedSiteKind.NO_DOMAIN),
        ("com", ExcludedSiteKind.NO_DOMAIN),
        ("", ExcludedSiteKind.NO_DOMAIN),
    ],
)
def test_sites_that_are_not_leads_say_why(site: str, reason: ExcludedSiteKind) -> None:
    assert excluded_site_kind(site) is reason


@pytest.mark.parametrize("domain", ["acme.com", "acme.wixsite.com", "acme.blogspot.com", "acme.example"])
def test_a_registered_domain_and_a_name_below_a_free_host_are_one_companys(domain: str) -> None:
    assert is_company_domain(domain)


@pytest.mark.parametrize(
    "domain",
    "bit.ly ow.ly tinyurl.com t.co goo.gl weebly.com wordpress.com wixsite.com google.com sites.google.com editor.weebly.com"
    " linktr.ee zillow.com managebuilding.com 10.0.0.1".split(),
)
def test_a_host_of_many_is_nobodys(domain: str) -> None:
    assert not is_company_domain(domain)


@pytest.mark.parametrize(
    "site",
    [
        "acmepm.com",
        "courtyardinvestments.com",
        "therentmanagers.com",
        "netflix-x.com",
        "myyelp.com",
        "yelp.com.acme.net",
        "acme.example",
    ],
)
def test_a_likeness_is_no_reason(site: str) -> None:
    assert excluded_site_kind(site) is None


def test_every_domain_of_the_pms_rules_is_on_the_deny_list() -> None:
    """LESSONS F79: a vendor's own site was delivered as a lead."""
    assert {domain: excluded_site_kind(domain) for domain in rule_table().domains} == dict.fromkeys(
        rule_table().domains, ExcludedSiteKind.VENDOR
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[friends]\ndomains = ['a.com']", "unknown reason 'friends'"),
        ("[vendor]\nhosts = ['a.com']", "vendor: needs exactly one key"),
        ("[vendor]\ndomains = 'a.com'", "vendor: needs exactly one key"),
        ("[vendor]\ndomains = ['A.com']", "'A.com' is not a host name in normal form"),
        ("[vendor]\ndomains = ['a.com']\n[social]\ndomains = ['a.com']", "a.com is already listed as vendor"),
    ],
)
def test_a_bad_deny_list_is_an_error_that_names_the_entry(text: str, complaint: str) -> None:
    with pytest.raises(ExcludedSitesError, match=complaint):
        read_excluded_sites(text)
