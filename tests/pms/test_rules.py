"""The rules file against a table written by hand."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.hosts import registrable_domain
from domain.company.pms_detection import SignalKind
from domain.company.pms_vendors import (
    AddOn,
    HoaSystem,
    PmsVendor,
    PortalAccount,
    Product,
    ShortTermRentalSystem,
    category_of,
)
from pms.rules import AddressSource, PmsRule, parse_rules, portal_account, rule_table, split_address

RULES = rule_table().rules
SHIPPED = resources.files("pms").joinpath("rules.toml").read_text(encoding="utf-8")

# Written by hand, not from the rules file: address, vendor, account, confidence.
TABLE: list[tuple[str, Product, str | None, str | None]] = [
    ("https://acme.managebuilding.com", PmsVendor.BUILDIUM, "acme", "high"),
    ("http://acme.managebuilding.com/Manager/", PmsVendor.BUILDIUM, "acme", "high"),
    ("//ACME.ManageBuilding.com:443/Resident/rental-application/new", PmsVendor.BUILDIUM, "acme", "high"),
    ("https://acme.appfolio.com/oportal/users/log_in", PmsVendor.APPFOLIO, "acme", "high"),
    ("https://acme-homes.appfolio.com/listings?filters=x", PmsVendor.APPFOLIO, "acme-homes", "high"),
    ("https://user:word@acme.appfolio.com./connect", PmsVendor.APPFOLIO, "acme", "high"),
    ("https://passport.appf.io/", PmsVendor.APPFOLIO, None, "high"),
    ("https://acme.rentvine.com/portals/owner", PmsVendor.RENTVINE, "acme", "high"),
    ("https://acme.rentvine.com/public/apply?unit=1", PmsVendor.RENTVINE, "acme", "high"),
    ("https://acme.rentvine.com/public/listings", PmsVendor.RENTVINE, "acme", "high"),
    ("https://app.propertyware.com/pw/portals/acmepm/owner.action", PmsVendor.PROPERTYWARE, "acmepm", "high"),
    ("https://app.propertyware.com/pw/index.html#/login/tenant/acmepm", PmsVendor.PROPERTYWARE, "acmepm", "high"),
    ("https://app.propertyware.com/pw/application/#/tenant/acmepm", PmsVendor.PROPERTYWARE, "acmepm", "high"),
    ("https://webreq.propertyware.com/", PmsVendor.PROPERTYWARE, None, "high"),
    ("https://acme.twa.rentmanager.com/?locations=1", PmsVendor.RENT_MANAGER, "acme", "high"),
    ("https://acme.owa.rentmanager.com", PmsVendor.RENT_MANAGER, "acme", "high"),
    ("https://acme.ua.rentmanager.com/ApplyNow", PmsVendor.RENT_MANAGER, "acme", "high"),
    ("https://acme.rmresident.com/Login.aspx", PmsVendor.RENT_MANAGER, "acme", "medium"),
    ("https://acme.securecafe.com/residentservices/oak/userlogin.aspx", PmsVendor.YARDI, "acme", "high"),
    ("https://acme.securecafe.com/onlineleasing/oak/oleapplication.aspx", PmsVendor.YARDI, "acme", "high"),
    ("https://www.rentcafe.com/residentservices/oak/userlogin.aspx", PmsVendor.YARDI, None, "high"),
    ("https://www.rentcafe.com/onlineleasing/oak/", PmsVendor.YARDI, None, "high"),
    ("https://oak.acme.securecafenet.com/x", PmsVendor.YARDI, None, "high"),
    ("https://acme.securecafe3.com/", PmsVendor.YARDI, None, "high"),
    ("https://acme.securerc.co.uk/", PmsVendor.YARDI, None, "high"),
    ("https://oak.residentportal.com/auth", PmsVendor.ENTRATA, "oak", "high"),
    ("https://oak.prospectportal.com/Apartments/module/", PmsVendor.ENTRATA, "oak", "high"),
    ("https://oak.prospectportal.global/", PmsVendor.ENTRATA, None, "high"),
    ("https://acme.entrata.com/?module=authentication", PmsVendor.ENTRATA, None, "high"),
    ("https://oak.loftliving.com", PmsVendor.REALPAGE, "oak", "high"),
    ("https://oak.activebuilding.com/portal", PmsVendor.REALPAGE, "oak", "high"),
    ("https://8765432.onlineleasing.realpage.com/#k=1", PmsVendor.REALPAGE, "8765432", "high"),
    ("https://property.onesite.realpage.com/welcomehome", PmsVendor.REALPAGE, None, "medium"),
    ("https://acme.myresman.com/Portal/Access/SignIn/ACME", PmsVendor.RESMAN, "acme", "high"),
    ("https://acme.app.doorloop.com/tenant-portal/", PmsVendor.DOORLOOP, "acme", "high"),
    ("https://app.doorloop.com/tenant-portal/auth", PmsVendor.DOORLOOP, None, "high"),
    ("https://secure.rentecdirect.com/tenants/", PmsVendor.RENTEC_DIRECT, None, "high"),
    ("https://secure.rentecdirect.com/owners/login", PmsVendor.RENTEC_DIRECT, None, "high"),
    ("https://www.rentecdirect.com/owners", PmsVendor.RENTEC_DIRECT, None, "high"),
    ("https://www.rentecdirect.com/tenants/?x=1", PmsVendor.RENTEC_DIRECT, None, "high"),
    ("https://propertymanage.biz/acmehomes/vacancies", PmsVendor.RENTEC_DIRECT, "acmehomes", "low"),
    ("https://home.tenantcloud.com/", PmsVendor.TENANTCLOUD, None, "medium"),
    ("https://app.tenantcloud.com/auth/login", PmsVendor.TENANTCLOUD, None, "medium"),
    ("https://acme.tenantcloud.com/listing-77", PmsVendor.TENANTCLOUD, "acme", "medium"),
    ("https://my.innago.com/a/QxY12", PmsVendor.INNAGO, "QxY12", "medium"),
    ("https://my.innago.com/l/abc", PmsVendor.INNAGO, None, "medium"),
    ("https://app.hemlane.com/rentals", PmsVendor.HEMLANE, None, "low"),
    ("https://acme.cincwebaxis.com/", HoaSystem.CINC, None, "medium"),
    ("https://app.townsq.io/login", HoaSystem.TOWNSQ, None, "medium"),
    ("https://oakhoa.sites.townsq.io/", HoaSystem.TOWNSQ, "oakhoa", "medium"),
    ("https://oakhoa.frontsteps.com/", HoaSystem.FRONTSTEPS, "oakhoa", "medium"),
    ("https://frontsteps.cloud/CaliberWeb2_AcmeHOA/login", HoaSystem.FRONTSTEPS, "AcmeHOA", "medium"),
    ("https://oakhoa.evercondo.com", HoaSystem.EVERCONDO, None, "medium"),
    ("https://acme.vantaca.com/", HoaSystem.VANTACA, "acme", "medium"),
    ("https://acme.guestyowners.com/", ShortTermRentalSystem.GUESTY, None, "medium"),
    ("https://acme.guestybookings.com/", ShortTermRentalSystem.GUESTY, None, "medium"),
    ("https://app.ownerrez.com/", ShortTermRentalSystem.OWNERREZ, None, "medium"),
    ("https://booking.ownerrez.com/x", ShortTermRentalSystem.OWNERREZ, None, "medium"),
    ("https://secure.ownerreservations.com/x", ShortTermRentalSystem.OWNERREZ, None, "medium"),
    ("https://acme.trackhs.com/", ShortTermRentalSystem.TRACK, "acme", "medium"),
    ("https://acme.lodgify.com/en", ShortTermRentalSystem.LODGIFY, "acme", "medium"),
    ("https://app.propertymeld.com/tenant/acme/sign-in", AddOn.PROPERTY_MELD, "acme", None),
    ("https://app.latchel.com/x", AddOn.LATCHEL, None, None),
    ("https://showmojo.com/0538409020/l/", AddOn.SHOWMOJO, "0538409020", None),
    ("https://app.tenantturner.com/listings/acme", AddOn.TENANT_TURNER, "acme", None),
    ("https://homes.rently.com/properties/7", AddOn.RENTLY, None, None),
    ("https://app.rentengine.io/x", AddOn.RENTENGINE, None, None),
]  # fmt: skip

# Look-alikes, and addresses of vendors that prove nothing.
NO_PROOF = [
    "https://courtyardinvestments.com/", "https://therentmanagers.com/", "https://stonesiteliving.com/",
    "https://ventrata.com/", "https://blog.example/why-we-left-appfolio", "https://appfolio.com.evil.example/connect",
    "https://acme.appfolio.com@evil.example/", "https://evil.example/?next=https://acme.appfolio.com/connect",
    "https://evil.example/#//acme.appfolio.com/", "https://evil.example/acme.managebuilding.com/Resident",
    "https://notmanagebuilding.com/Resident", "https://acme.appfolio.co/connect", "https://appfolio.example/",
    "https://www.buildium.com/", "https://buildium.com/", "https://acme.buildium.com/", "https://signin.managebuilding.com/",
    "https://managebuilding.com/", "https://www.managebuilding.com/Resident/", "https://help.managebuilding.com/",
    "https://www.appfolio.com/", "https://appfolio.com/", "https://account.appfolio.com/", "https://help.appfolio.com/",
    "https://support.appfolio.com/", "https://cdn.appfolio.com/", "https://demo.appfolio.com/connect",
    "https://demo42.appfolio.com/listings", "https://a.b.appfolio.com/connect", "https://appf.io/",
    "https://help.rentvine.com/", "https://www.rentvine.com/", "https://www.propertyware.com/",
    "https://app.propertyware.com/", "https://app.propertyware.com/pw/portals/", "https://app.propertyware.com/pw/portalsx/acme",
    "https://www.rentmanager.com/", "https://acme.rentmanager.com/", "https://twa.rentmanager.com/",
    "https://www.yardi.com/", "https://www.rentcafe.com/apartments/us/tx/austin/", "https://www.rentcafe.com/",
    "https://rentcafe.com/residentservices/x", "https://acme.securecafe.com/apartments/x",
    "https://acme.securecafe.com/residentservicesx/", "https://go.entrata.com/", "https://help.entrata.com/",
    "https://www.entrata.com/", "https://docs.entrata.com/", "https://commoncf.entrata.com/x.js", "https://entrata.com/",
    "https://legal.entrata.com/", "https://www.residentportal.com/", "https://www.realpage.com/",
    "https://onlineleasing.realpage.com/", "https://www.loftliving.com/", "https://api.myresman.com/Portal/x",
    "https://acme.myresman.com/", "https://www.myresman.com/Portal/", "https://www.doorloop.com/tenant-portal/",
    "https://app.doorloop.com/", "https://acme.app.doorloop.com/login", "https://www.rentecdirect.com/",
    "https://www.rentecdirect.com/pricing", "https://rentecdirect.com/owners", "https://propertymanage.biz/",
    "https://propertymanage.biz/login", "https://www.tenantcloud.com/", "https://acme.tenantcloud.com/about",
    "https://www.innago.com/", "https://my.innago.com/", "https://my.innago.com/login", "https://www.hemlane.com/",
    "https://blog.hemlane.com/", "https://status.frontsteps.com/", "https://sites.townsq.io/", "https://www.lodgify.com/",
    "https://docs.rentengine.io/", "https://showmojo.com/", "https://www.showmojo.com/", "https://www.tenantturner.com/",
    "mailto:rent@acme.appfolio.com", "tel:appfolio.com", "/appfolio.com/connect", "acme.appfolio.com/connect", "#", "",
    "https://", "http://[::1", "https://acme.appfolio.com:x/",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.vendor} {rule.example}")
def test_each_rule_fits_its_own_example(rule: PmsRule) -> None:
    found = rule_table().match(rule.example, "loaded" if rule.found_in == "loaded" else "link")
    assert found is not None
    assert found.rule is rule, "an earlier rule matches"
    assert (found.slug is not None) == (rule.slug_in != "none")


@pytest.mark.parametrize(("url", "vendor", "slug", "confidence"), TABLE, ids=[row[0] for row in TABLE])
def test_each_row_of_the_table(url: str, vendor: Product, slug: str | None, confidence: str | None) -> None:
    found = rule_table().match(url, "link")
    assert found is not None
    assert (found.rule.vendor, found.slug, found.rule.confidence) == (vendor, slug, confidence)
    assert found.rule.kind is SignalKind.PORTAL_LINK


def test_the_table_names_every_product() -> None:
    everything = {*PmsVendor, *HoaSystem, *ShortTermRentalSystem, *AddOn}
    assert {row[1] for row in TABLE} == everything == {rule.vendor for rule in RULES}


@pytest.mark.parametrize("url", NO_PROOF)
def test_traps_and_the_vendors_own_pages_prove_nothing(url: str) -> None:
    assert rule_table().match(url, "link") is None
    bare_portal_host = (
        url == "acme.appfolio.com/connect"
    )  # a relative path on a page, but a host where a host is asked for
    assert (portal_account(url) is not None) == bare_portal_host


@pytest.mark.parametrize("page", ["www", "help", "support", "docs", "api", "developer", "blog", "status", "go", "info"])
@pytest.mark.parametrize("domain", sorted({rule.domain for rule in RULES if rule.is_open}))
def test_no_vendor_page_is_an_account_anywhere(domain: str, page: str) -> None:
    paths = ["", "/residentservices/x", "/Portal/", "/listings", "/tenant-portal/", "/connect"]
    named = {(rule.domain, rule.subdomain) for rule in RULES}
    assert (domain, page) in named or all(
        rule_table().match(f"https://{page}.{domain}{p}", "link") is None for p in paths
    )


@pytest.mark.parametrize(
    "host", ["passport.appf.io", "app.hemlane.com", "home.tenantcloud.com", "app.doorloop.com/tenant-portal"]
)
@pytest.mark.parametrize("source", ["frame", "loaded", "script", "redirect", "text"])
def test_a_shared_sign_in_host_counts_only_as_a_link(host: str, source: AddressSource) -> None:
    assert rule_table().match(f"https://{host}", "link") is not None
    assert rule_table().match(f"https://{host}", source) is None


def test_assets_are_assets() -> None:
    for url in (
        "https://cdn.rentvine.com/a.js",
        "https://api.myresman.com/a.js",
        "https://medialibrarycf.entrata.com/1/a.png",
    ):
        found = rule_table().match(url, "loaded")
        assert found is not None
        assert found.rule.kind is SignalKind.ASSET


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://acme.managebuilding.com/Resident", PortalAccount(vendor=PmsVendor.BUILDIUM, slug="acme")),
        ("acme.appfolio.com", PortalAccount(vendor=PmsVendor.APPFOLIO, slug="acme")),
        ("acme.appfolio.com/x?back=https://a.example", PortalAccount(vendor=PmsVendor.APPFOLIO, slug="acme")),
        ("https:\\\\acme.rentvine.com\\portals", PortalAccount(vendor=PmsVendor.RENTVINE, slug="acme")),
        ("https://passport.appf.io/", None),
        ("https://acme.vantaca.com/", None),
        ("https://app.propertymeld.com/tenant/acme", None),
    ],
)
def test_a_portal_account_is_a_pms_with_an_account_name(url: str, account: PortalAccount | None) -> None:
    assert portal_account(url) == account


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=80))
def test_any_text_at_all_is_an_address_or_none(text: str) -> None:
    for address in (text, f"https://{text}", f"//acme.appfolio.com{text}"):
        found = split_address(address)
        assert found is None or (found[0] == found[0].lower() and found[1].startswith(("/", "\\")))
        rule_table().match(address, "link")


def _changed(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (_changed('vendor = "Buildium"', 'vendor = "Buildum"'), r"rule\.0\.vendor"),
        (_changed('kind = "portal_link"', 'kind = "text"'), r"rule\.0\.kind"),
        (_changed('confidence = "high"', 'confidence = "sure"'), r"rule\.0\.confidence"),
        (_changed("checked = 2026-11-23", 'checked = "soon"'), r"rule\.0\.checked"),
        (_changed('exclude = ["signin"]', "excludes = []"), r"rule\.0\.excludes"),
        (_changed("vendor_pages = [", "vendor_page = ["), r"vendor_pages"),
        ("vendor = [", "Unclosed array|Invalid value"),
    ],
)  # fmt: skip
def test_a_bad_rule_is_an_error_that_names_rule_and_field(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_rules(text)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.vendor} {rule.example}")
def test_the_fields_of_a_rule_fit_together(rule: PmsRule) -> None:
    assert registrable_domain(rule.domain) == rule.domain
    assert re.fullmatch(r"|\*|(?:[a-z0-9-]+|\{slug\}|[a-z0-9-]*\*)(?:\.[a-z0-9-]+)*", rule.subdomain)
    assert rule.path is None or re.fullmatch(r"/[^?\s]*", rule.path)
    path, _, fragment = (rule.path or "").partition("#")
    places = {"subdomain": rule.subdomain, "path": path, "fragment": fragment}
    assert [place for place, pattern in places.items() if "{slug}" in pattern] in ([rule.slug_in], [])
    assert any("{slug}" in pattern for pattern in places.values()) == (rule.slug_in != "none")
    assert rule.is_open or not rule.exclude
    assert (rule.call is None) == (rule.call_key is None)
    assert (rule.confidence is None) == (category_of(rule.vendor) == "add_on")


def test_a_vendors_own_page_proves_nothing_without_a_path() -> None:
    own_pages = {"", *tomllib.loads(SHIPPED)["vendor_pages"]}
    for rule in RULES:
        assert rule.subdomain not in own_pages or rule.path or rule.kind is SignalKind.ASSET, rule.example
