"""The gold table and the served pages say the same: what gold claims can be read, what gold leaves out cannot."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape

import pytest

from local.demo.entities import World
from local.demo.layouts import GENERATOR
from local.demo.pages import INJECTION
from local.demo.truth import GoldCompany
from tests.local.demo_helpers import SEEDS, gold_of, html_of, links_of, text_of, world_of

# Hosts that prove a vendor; written out again here, so that a slip in the generator is seen.
PROOF = {
    "Buildium": ".managebuilding.com", "AppFolio": ".appfolio.com", "Rentvine": ".rentvine.com",
    "Propertyware": "app.propertyware.com/pw/", "Rent Manager": ".rentmanager.com", "Yardi": ".securecafe.com",
    "Entrata": ".residentportal.com", "RealPage": ".loftliving.com", "ResMan": ".myresman.com",
    "DoorLoop": ".app.doorloop.com", "Rentec Direct": "secure.rentecdirect.com/",
}  # fmt: skip


def readable(seed: int) -> Iterator[tuple[World, GoldCompany]]:
    """The companies with a site that a reader may read."""
    world = world_of(seed)
    for company in gold_of(seed).companies:
        if company.not_deliverable_reason not in ("no_own_domain", "defunct", "blocked_by_robots"):
            yield world, company


def vendors_on(html: str) -> set[str]:
    """Vendors whose portals a page links, embeds or calls; marketing pages do not count."""
    links = [link for link in links_of(html) if "//www.appfolio.com" not in link]
    return {vendor for vendor, host in PROOF.items() if any(host in link for link in links)}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_page_says_that_it_is_a_demo(seed: int) -> None:
    tag = f'<meta name="generator" content="{GENERATOR}">'
    for site in world_of(seed).sites.values():
        assert all(tag in page.html for page in site.pages.values()), site.host


@pytest.mark.parametrize("seed", SEEDS)
def test_detected_software_is_proven_on_two_pages_by_the_very_account(seed: int) -> None:
    for world, c in readable(seed):
        if c.pms_status == "detected":
            pages = html_of(world, c).values()
            assert sum(c.pms in vendors_on(html) for html in pages) >= 2, c.name
            assert set().union(*map(vendors_on, pages)) == {c.pms}, c.name
            assert c.portal_host is not None
            assert any(c.portal_host in link for html in pages for link in links_of(html))
            if c.portal_slug:
                assert any(c.portal_slug in link for html in pages for link in links_of(html))


@pytest.mark.parametrize("seed", SEEDS)
def test_unsure_software_has_one_weak_signal_and_no_software_has_none(seed: int) -> None:
    for world, c in readable(seed):
        pages = list(html_of(world, c).values())
        proven = [vendors for html in pages if (vendors := vendors_on(html))]
        if c.pms_status == "unknown":
            assert len(proven) <= 1, c.name
            assert any(c.pms_candidates[0] in text_of(html) for html in pages) or len(proven) == 1
        if c.pms_status == "none":
            assert proven == [], c.name
            assert c.pms is None
        if c.pms_status == "conflict":
            assert any(len(vendors) == 2 for vendors in proven), c.name
            assert len(c.pms_candidates) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_every_published_address_and_person_of_gold_stands_on_a_page_and_belongs_to_the_company(seed: int) -> None:
    for world, c in readable(seed):
        html = unescape("\n".join(html_of(world, c).values()))
        for person in c.decision_makers:
            assert person.full_name in html, (c.name, person.full_name)
            assert person.title in html
            assert person.email_published == (person.email is not None)
            assert person.reachable == bool(person.email or person.linkedin_url)
            if person.email:
                plain = html.replace(" [at] ", "@").replace(" [dot] ", ".")
                assert person.email in plain, (c.name, person.email)
                free = person.email.rsplit("@", 1)[1] in ("gmail.com", "yahoo.com", "outlook.com")
                assert person.email.endswith(f"@{c.domain}") or (free and "free_mail_decision_maker" in c.traits)
            if person.linkedin_url:
                assert person.linkedin_url in html


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_else_on_the_pages_is_taken_for_a_contact(seed: int) -> None:
    for world, c in readable(seed):
        html = unescape("\n".join(html_of(world, c).values()))
        contacts = {p.full_name for p in c.decision_makers}
        for decoy in c.not_contacts:
            assert decoy.full_name in html, (c.name, decoy)
            assert decoy.full_name not in contacts


@pytest.mark.parametrize("seed", SEEDS)
def test_units_of_gold_are_on_a_page_and_missing_units_are_on_none(seed: int) -> None:
    for world, c in readable(seed):
        text = " ".join(text_of(html) for html in html_of(world, c).values())
        match c.units_basis:
            case "stated":
                assert c.units is not None
                assert f"{c.units:,}" in text or f"{c.units}" in text, c.name
            case "estimated":
                assert c.units is not None
                listings = sum(html.count('class="listing"') for html in html_of(world, c).values())
                assert c.units == 10 * listings
            case _:
                assert c.units is None
                assert not any(html.count('class="listing"') for html in html_of(world, c).values())
                words = ("doors under management", "Units managed", "rental units", "properties under management")
                assert not any(w in text for w in words), c.name


@pytest.mark.parametrize("seed", SEEDS)
def test_name_address_and_phone_are_on_every_page_of_a_company(seed: int) -> None:
    for world, c in readable(seed):
        for path, html in html_of(world, c).items():
            text = text_of(html)
            assert c.name in text, path
            assert c.phone in text, path
            assert f"{c.city}, {c.state} {c.zip}" in text, path


@pytest.mark.parametrize("seed", SEEDS)
def test_deliverable_means_a_reachable_decision_maker_and_nothing_against_it(seed: int) -> None:
    for c in gold_of(seed).companies:
        assert c.deliverable == (c.not_deliverable_reason is None)
        if c.deliverable:
            assert c.domain
            assert not c.suppressed
            assert not c.icp_disqualifiers
            assert any(p.reachable and p.level <= 5 for p in c.decision_makers)
        if c.not_deliverable_reason == "no_reachable_contact":
            assert not any(p.reachable and p.level <= 5 for p in c.decision_makers)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_traps_stand_on_the_pages_they_are_named_for(seed: int) -> None:
    for world, c in readable(seed):
        pages = html_of(world, c)
        if "blog_slug" in c.traits:
            assert "/blog/why-we-left-appfolio" in pages
            assert c.pms == "Buildium"
        if "prompt_injection" in c.traits:
            assert any(INJECTION in unescape(html) for html in pages.values())
            assert c.units != 9999
        if "obfuscated_email" in c.traits:
            assert any(" [at] " in html for html in pages.values())
        if "formula_name" in c.traits:
            assert c.name[0] in "=+-@"
        if "lookalike_name" in c.traits:
            assert any(f'href="http://{c.domain}/' in html for html in pages.values())
        if "alias_mirror" in c.traits:
            assert world.sites[c.alias_domains[0]].pages == world.sites[c.domain or ""].pages
        if "alias_redirect" in c.traits:
            assert world.sites[c.alias_domains[0]].redirect_to == c.domain


@pytest.mark.parametrize("seed", SEEDS)
def test_gold_knows_nothing_of_sites_that_cannot_be_read(seed: int) -> None:
    for c in gold_of(seed).companies:
        if c.not_deliverable_reason in ("no_own_domain", "defunct", "blocked_by_robots"):
            assert (c.units, c.decision_makers, c.pms, c.pms_status) == (None, [], None, "unknown")
            assert c.company_type == "unknown"


@pytest.mark.parametrize("seed", SEEDS)
def test_pages_come_in_many_shapes(seed: int) -> None:
    paths: set[str] = set()
    shells: set[str] = set()
    for world, c in readable(seed):
        site = world.sites[c.domain or ""]
        paths.update(p.path for p in site.pages.values() if p.kind in ("about", "team", "contact", "rentals"))
        html = site.pages["/"].html
        marks = ("<header>", 'id="wrap"', 'width="960"', "<aside>", "wb-root")
        shells.update(mark for mark in marks if mark in html)
    assert len(shells) == 5
    assert len(paths) >= 30
