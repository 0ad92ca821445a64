"""The gold table agrees with the served pages: what gold claims can be read, what it leaves out cannot."""

from __future__ import annotations

import re
from html import unescape

import pytest
from selectolax.lexbor import LexborHTMLParser

from local.demo.layouts import GENERATOR
from local.demo.pages import INJECTION
from local.demo.truth import GoldCompany
from tests.local.demo_helpers import SEEDS, gold_of, readable, world_of

# Hosts that prove a vendor, repeated here so that a mistake in the generator shows.
PROOF = {
    "Buildium": ".managebuilding.com", "AppFolio": ".appfolio.com", "Rentvine": ".rentvine.com",
    "Propertyware": "app.propertyware.com/pw/", "Rent Manager": ".rentmanager.com", "Yardi": ".securecafe.com",
    "Entrata": ".residentportal.com", "RealPage": ".loftliving.com", "ResMan": ".myresman.com",
    "DoorLoop": ".app.doorloop.com", "Rentec Direct": "secure.rentecdirect.com/",
}  # fmt: skip

pytestmark = pytest.mark.parametrize("seed", SEEDS)


def pages_of(seed: int, company: GoldCompany) -> dict[str, str]:
    return {path: page.html for path, page in world_of(seed).sites[company.domain or ""].pages.items()}


def text_of(html: str) -> str:
    body = LexborHTMLParser(html).body
    return re.sub(r"\s+", " ", body.text(separator=" ") if body else "")


def links_of(html: str) -> list[str]:
    """Every link, source and inline script of a page, except links to a vendor's own home page."""
    tree = LexborHTMLParser(html)
    found = [unescape(v) for node in tree.css("[href],[src]") for k in ("href", "src") if (v := node.attributes.get(k))]
    return [link for link in found if "//www.appfolio.com" not in link] + [node.text() for node in tree.css("script")]


def vendors_on(html: str) -> set[str]:
    return {vendor for vendor, host in PROOF.items() if any(host in link for link in links_of(html))}


def test_every_page_says_that_it_is_a_demo(seed: int) -> None:
    tag = f'<meta name="generator" content="{GENERATOR}">'
    for site in world_of(seed).sites.values():
        assert all(tag in page.html for page in site.pages.values()), site.host


def test_detected_software_is_proven_by_the_account(seed: int) -> None:
    for company in readable(seed):
        if company.pms_status == "detected":
            pages = pages_of(seed, company).values()
            assert sum(company.pms in vendors_on(html) for html in pages) >= 2, company.name
            assert set().union(*map(vendors_on, pages)) == {company.pms}, company.name
            links = [link for html in pages for link in links_of(html)]
            assert company.portal_host is not None
            assert any(company.portal_host in link for link in links)
            assert any((company.portal_slug or "") in link for link in links)


def test_unproven_software_has_at_most_a_weak_signal(seed: int) -> None:
    for company in readable(seed):
        pages = pages_of(seed, company).values()
        proven = [vendors for html in pages if (vendors := vendors_on(html))]
        if company.pms_status == "unknown":
            named = any(company.pms_candidates[0] in text_of(html) for html in pages)
            assert len(proven) == 1 or (not proven and named), company.name
        if company.pms_status == "none":
            assert (proven, company.pms) == ([], None), company.name
        if company.pms_status == "conflict":
            assert any(len(vendors) == 2 for vendors in proven), company.name
            assert len(company.pms_candidates) == 2


def test_people_and_addresses_of_gold_are_on_the_pages(seed: int) -> None:
    for company in readable(seed):
        html = unescape("\n".join(pages_of(seed, company).values()))
        plain = html.replace(" [at] ", "@").replace(" [dot] ", ".")
        for person in company.decision_makers:
            assert all(text in html for text in (person.full_name, person.title, person.linkedin_url or ""))
            assert person.email_published == (person.email is not None)
            assert person.reachable == bool(person.email or person.linkedin_url)
            if person.email:
                assert person.email in plain, (company.name, person.email)
                free = person.email.rsplit("@", 1)[1] in ("gmail.com", "yahoo.com", "outlook.com")
                has_free = free and "free_mail_decision_maker" in company.traits
                assert person.email.endswith(f"@{company.domain}") or has_free
        contacts = {person.full_name for person in company.decision_makers}
        for decoy in company.not_contacts:
            assert decoy.full_name in html, (company.name, decoy)
            assert decoy.full_name not in contacts


def test_units_of_gold_are_on_a_page_and_no_others(seed: int) -> None:
    words = ("doors under management", "Units managed", "rental units", "properties under management")
    for company in readable(seed):
        pages = pages_of(seed, company).values()
        text = " ".join(map(text_of, pages))
        listings = sum(html.count('class="listing"') for html in pages)
        match company.units_basis:
            case "stated":
                assert f"{company.units:,}" in text or f"{company.units}" in text, company.name
            case "estimated":
                assert company.units == 10 * listings
            case _:
                assert (company.units, listings) == (None, 0)
                assert not any(word in text for word in words), company.name


def test_name_address_and_phone_are_on_every_page(seed: int) -> None:
    for company in readable(seed):
        place = f"{company.city}, {company.state} {company.zip}"
        for path, html in pages_of(seed, company).items():
            text = text_of(html)
            assert all(part in text for part in (company.name, company.phone, place)), (company.name, path)


def test_deliverable_means_reachable_and_not_excluded(seed: int) -> None:
    for company in gold_of(seed).companies:
        reachable = any(person.reachable and person.level <= 5 for person in company.decision_makers)
        assert company.deliverable == (company.not_deliverable_reason is None)
        if company.deliverable:
            assert company.domain
            assert reachable
            assert not company.suppressed
            assert not company.icp_disqualifiers
        if company.not_deliverable_reason == "no_reachable_contact":
            assert not reachable


def test_each_trap_is_on_its_pages(seed: int) -> None:
    sites = world_of(seed).sites
    for company in readable(seed):
        pages = pages_of(seed, company)
        holds = {
            "blog_slug": "/blog/why-we-left-appfolio" in pages and company.pms == "Buildium",
            "prompt_injection": any(INJECTION in unescape(html) for html in pages.values()) and company.units != 9999,
            "obfuscated_email": any(" [at] " in html for html in pages.values()),
            "formula_name": company.name[0] in "=+-@",
            "lookalike_name": any(f'href="http://{company.domain}/' in html for html in pages.values()),
            "alias_mirror": all(sites[a].pages == sites[company.domain or ""].pages for a in company.alias_domains),
            "alias_redirect": all(sites[alias].redirect_to == company.domain for alias in company.alias_domains),
        }
        assert all(holds.get(trait, True) for trait in company.traits), company.name


def test_gold_knows_nothing_about_unreadable_sites(seed: int) -> None:
    for company in gold_of(seed).companies:
        if company not in readable(seed):
            assert (company.units, company.decision_makers, company.pms) == (None, [], None)
            assert (company.pms_status, company.company_type) == ("unknown", "unknown")
