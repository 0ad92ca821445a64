"""The demo world keeps its promises for every seed: the same bytes, enough to deliver, every trap, no false twins."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import JaroWinkler

from local.demo.entities import World
from local.demo.listpages import GUIDE_HOSTS
from local.demo.plan import COMPANIES_PER_STATE, DEFUNCT_KINDS, EXCLUDED_KINDS, SITE_TRAITS, TEAM_TRAITS, UNSURE_KINDS
from local.demo.truth import gold_table, summary, suppressions, suppressions_csv
from local.demo.world import DEFAULT_SEED, generate_world
from tests.local.demo_helpers import ROOT, SEEDS, gold_of, world_of


def fingerprint(world: World) -> str:
    """A hash over everything the world serves and claims, in order."""
    digest = hashlib.sha256(gold_table(world).model_dump_json().encode())
    digest.update(suppressions_csv(world).encode())
    for host, site in world.sites.items():
        digest.update(f"{host} {site.behaviour} {site.robots_txt} {site.age_days} {site.redirect_to}".encode())
        for path, page in site.pages.items():
            digest.update(f"{path}\n{page.html}\n{page.text}".encode())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from tests.local.test_demo_world import fingerprint; from local.demo.world import generate_world; import sys;"
        f"sys.stdout.write(fingerprint(generate_world({DEFAULT_SEED})))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": "12345"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert other.stdout == fingerprint(world_of(DEFAULT_SEED))


def test_different_seeds_give_different_worlds() -> None:
    assert len({fingerprint(world_of(seed)) for seed in SEEDS}) == len(SEEDS)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(min_value=0, max_value=2**32))
def test_any_seed_has_enough_deliverable_buildium_companies_and_not_too_many(seed: int) -> None:
    companies = gold_table(generate_world(seed)).companies
    good = Counter(c.state for c in companies if c.deliverable and c.pms == "Buildium" and c.pms_status == "detected")
    assert 55 <= good["TX"] <= 90
    assert all(good[state] >= 10 for state in COMPANIES_PER_STATE)
    assert Counter(c.state for c in companies) == Counter(COMPANIES_PER_STATE)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mix_of_software_is_the_planned_one(seed: int) -> None:
    vendors = Counter(c.pms for c in gold_of(seed).companies)
    assert 0.34 <= vendors["Buildium"] / 600 <= 0.46
    assert 0.14 <= vendors["AppFolio"] / 600 <= 0.26
    others = ("Rentvine", "Propertyware", "Rent Manager", "Yardi", "DoorLoop", "Rentec Direct")
    assert all(vendors[v] >= 1 for v in others)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_trap_is_there_several_times_and_in_texas(seed: int) -> None:
    everywhere: Counter[str] = Counter()
    texas: Counter[str] = Counter()
    for c in gold_of(seed).companies:
        everywhere.update(c.traits)
        if c.state == "TX":
            texas.update(c.traits)
    for trait in (*EXCLUDED_KINDS, *DEFUNCT_KINDS, *UNSURE_KINDS, *SITE_TRAITS, *TEAM_TRAITS):
        assert everywhere[trait] >= 2, trait
        assert texas[trait] >= 2, trait


@pytest.mark.parametrize("seed", SEEDS)
def test_two_companies_never_look_like_one_by_the_identity_rules(seed: int) -> None:
    companies = gold_of(seed).companies
    domains = [d for c in companies for d in (c.domain, *c.alias_domains) if d]
    slugs = [c.portal_slug for c in companies if c.portal_slug]
    assert len(domains) == len(set(domains))
    assert len(slugs) == len(set(slugs))
    assert len({c.phone for c in companies}) == len(companies)
    by_city: dict[tuple[str, str], list[str]] = {}
    for c in companies:
        by_city.setdefault((c.state, c.city), []).append(c.name.casefold())
    for names in by_city.values():
        for i, name in enumerate(names):
            assert all(JaroWinkler.similarity(name, other) < 0.90 for other in names[i + 1 :]), name


@pytest.mark.parametrize("seed", SEEDS)
def test_namesakes_are_different_firms_in_different_cities_of_one_state(seed: int) -> None:
    twins: dict[str, list[tuple[str, str, str | None]]] = {}
    for c in gold_of(seed).companies:
        if "same_name_elsewhere" in c.traits:
            twins.setdefault(c.name, []).append((c.state, c.city, c.domain))
    assert len(twins) >= 5
    for places in twins.values():
        (state_a, city_a, domain_a), (state_b, city_b, domain_b) = places
        assert state_a == state_b
        assert city_a != city_b
        assert domain_a != domain_b


@pytest.mark.parametrize("seed", SEEDS)
def test_only_reserved_names_and_plain_http(seed: int) -> None:
    world = world_of(seed)
    assert all(host.endswith(".example") for host in world.sites)
    assert all(c.website is None or c.website.startswith("http://") for c in world.companies)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_deliverable_company_is_named_on_a_list_page(seed: int) -> None:
    world = world_of(seed)
    lists = [p.text for s in world.sites.values() for p in s.pages.values() if p.kind == "list"]
    for c in gold_of(seed).companies:
        if c.deliverable:
            assert any(f"{c.name}, {c.city}" in text for text in lists), c.name


def test_lists_lead_from_page_to_page_and_end() -> None:
    world = world_of(DEFAULT_SEED)
    pages = world.sites[GUIDE_HOSTS["TX"]].pages
    path, seen = "/texas/property-managers", []
    while path:
        seen.append(path)
        html = pages[path].html
        path = html.split('">Next &raquo;')[0].rsplit('href="', 1)[1] if "Next &raquo;" in html else ""
    assert len(seen) >= 5
    assert seen == [p for p in pages if p != "/"]
    assert all(10 <= html.count("<li>") <= 50 for html in (pages[p].html for p in seen))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_firm_known_by_its_portal_is_listed_only_by_its_portal(seed: int) -> None:
    world = world_of(seed)
    linked = "\n".join(p.html for s in world.sites.values() for p in s.pages.values() if p.kind in ("list", "profile"))
    for c in gold_of(seed).companies:
        if "portal_only" in c.traits or "listed_by_portal" in c.traits:
            assert c.portal_host is not None
            assert c.portal_host in linked, c.name
            assert c.domain is None or not re.search(rf"//(www\.)?{re.escape(c.domain)}/", linked), c.name


@pytest.mark.parametrize("seed", SEEDS)
def test_texas_guide_names_firms_that_do_not_work_in_texas(seed: int) -> None:
    guide = "\n".join(p.text for p in world_of(seed).sites[GUIDE_HOSTS["TX"]].pages.values())
    foreign = [c for c in gold_of(seed).companies if "other_state_claim" in c.traits and c.state != "TX"]
    assert len(foreign) >= 5
    assert all(c.name in guide for c in foreign)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_suppression_list_reaches_every_suppressed_company_in_each_of_its_ways(seed: int) -> None:
    rows = suppressions(world_of(seed))
    domains = {r.domain for r in rows if r.domain}
    by_name = {(r.name.casefold().removesuffix(", llc"), r.state) for r in rows if r.domain is None}
    ways: Counter[str] = Counter()
    for c in gold_of(seed).companies:
        by_domain = c.domain in domains
        by_alias = bool(domains.intersection(c.alias_domains))
        by_portal = c.portal_host in domains
        named = (c.name.casefold(), c.state) in by_name
        assert c.suppressed == (by_domain or by_alias or by_portal or named), c.name
        ways.update({"domain": by_domain, "alias": by_alias, "portal": by_portal, "name": named})
    assert all(ways[way] >= 2 for way in ("domain", "alias", "portal", "name")), ways


def test_the_summary_counts_what_the_table_holds() -> None:
    text = summary(world_of(DEFAULT_SEED))
    texas = [c for c in gold_of(DEFAULT_SEED).companies if c.state == "TX" and c.deliverable]
    row = next(line.split() for line in text.splitlines() if line.startswith("TX"))
    assert row == ["TX", "240", str(len(texas)), str(sum(c.pms == "Buildium" for c in texas))]
