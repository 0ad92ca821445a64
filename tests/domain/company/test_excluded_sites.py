"""Sites that are never a company's own."""

import tomllib
from importlib import resources

import pytest

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind, is_company_domain
from domain.company.hosts import normalized_host
from pms.rules import rule_table


@pytest.mark.parametrize(
    ("site", "kind"),
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
def test_excluded_site_has_a_kind(site: str, kind: ExcludedSiteKind) -> None:
    assert excluded_site_kind(site) is kind


@pytest.mark.parametrize(
    "site",
    ["acmepm.com", "courtyardinvestments.com", "therentmanagers.com", "netflix-x.com", "myyelp.com", "yelp.com.acme.net",
     "acme.example"],
)  # fmt: skip
def test_similar_name_is_not_excluded(site: str) -> None:
    assert excluded_site_kind(site) is None


@pytest.mark.parametrize("domain", ["acme.com", "acme.wixsite.com", "acme.blogspot.com", "acme.example"])
def test_company_domain(domain: str) -> None:
    assert is_company_domain(domain)


@pytest.mark.parametrize(
    "domain",
    "bit.ly ow.ly tinyurl.com t.co goo.gl weebly.com wordpress.com wixsite.com google.com sites.google.com editor.weebly.com"
    " linktr.ee zillow.com managebuilding.com 10.0.0.1".split(),
)
def test_shared_host_is_not_a_company_domain(domain: str) -> None:
    assert not is_company_domain(domain)


def test_every_domain_of_the_pms_rules_is_excluded_as_vendor() -> None:
    domains = rule_table().domains
    assert {domain: excluded_site_kind(domain) for domain in domains} == dict.fromkeys(domains, ExcludedSiteKind.VENDOR)


def test_data_file_lists_each_domain_once_in_normal_form() -> None:
    text = resources.files("domain.company").joinpath("excluded_sites.toml").read_text(encoding="utf-8")
    domains = [domain for table in tomllib.loads(text).values() for domain in table["domains"]]
    assert [domain for domain in domains if normalized_host(domain) != domain] == []
    assert len(domains) == len(set(domains))
