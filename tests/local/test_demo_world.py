"""Every seed gives a fair world: the same bytes again, enough to deliver, every trap, no two companies that look like one."""

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
from local.demo.truth import gold_table, suppressions, suppressions_csv
from local.demo.world import DEFAULT_SEED, generate_world
from tests.local.demo_helpers import ROOT, SEEDS, gold_of, world_of

each_seed = pytest.mark.parametrize("seed", SEEDS)


def fingerprint(world: World) -> str:
    """A hash of everything that the world serves and claims."""
    digest = hashlib.sha256((gold_table(world).model_dump_json() + suppressions_csv(world)).encode())
    for host, site in world.sites.items():
        digest.update(f"{host} {site.behaviour} {site.robots_txt} {site.age_days} {site.redirect_to}".encode())
        for path, page in site.pages.items():
            digest.update(f"{path}\n{page.html}\n{page.text}".encode())
    return digest.hexdigest()


def test_a_seed_gives_the_same_bytes_in_any_process() -> None:
    code = (
        "from tests.local.test_demo_world import fingerprint; from local.demo.world import generate_world; import sys;"
        f"sys.stdout.write(fingerprint(generate_world({DEFAULT_SEED})))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": "12345"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert other.stdout == fingerprint(world_of(DEFAULT_SEED))
    assert len({fingerprint(world_of(seed)) for seed in SEEDS}) == len(SEEDS)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(min_value=0, max_value=2**32))
def test_any_seed_has_enough_to_deliver_but_not_too_much(seed: int) -> None:
    companies = gold_table(generate_world(seed)).companies
    good = Counter(c.state for c in companies if c.deliverable and c.pms == "Buildium" and c.pms_status == "detected")
    assert 55 <= good["TX"] <= 90
    assert all(good[state] >= 10 for state in COMPANIES_PER_STATE)
    assert Counter(c.state for c in companies) == Counter(COMPANIES_PER_STATE)


@each_seed
def test_every_trap_occurs_several_times_in_texas(seed: int) -> None:
    texas = Counter(trait for c in gold_of(seed).companies if c.state == "TX" for trait in c.traits)
    for trait in (*EXCLUDED_KINDS, *DEFUNCT_KINDS, *UNSURE_KINDS, *SITE_TRAITS, *TEAM_TRAITS):
        assert texas[trait] >= 2, trait


@each_seed
def test_two_companies_never_look_like_one(seed: int) -> None:
    companies = gold_of(seed).companies
    for values in (
        [domain for c in companies for domain in (c.domain, *c.alias_domains) if domain],
        [c.portal_slug for c in companies if c.portal_slug],
        [c.phone for c in companies],
    ):
        assert len(values) == len(set(values))
    by_city: dict[tuple[str, str], list[str]] = {}
    for c in companies:
        by_city.setdefault((c.state, c.city), []).append(c.name.casefold())
    for names in by_city.values():
        for i, name in enumerate(names):
            assert all(JaroWinkler.similarity(name, other) < 0.90 for other in names[i + 1 :]), name


@each_seed
def test_namesakes_are_in_two_cities_of_one_state(seed: int) -> None:
    twins: dict[str, list[tuple[str, str, str | None]]] = {}
    for c in gold_of(seed).companies:
        if "same_name_elsewhere" in c.traits:
            twins.setdefault(c.name, []).append((c.state, c.city, c.domain))
    assert len(twins) >= 5
    for places in twins.values():
        assert [len(set(values)) for values in zip(*places, strict=True)] == [1, 2, 2]


@each_seed
def test_only_reserved_names_and_plain_http(seed: int) -> None:
    world = world_of(seed)
    assert all(host.endswith(".example") for host in world.sites)
    assert all(c.website is None or c.website.startswith("http://") for c in world.companies)


@each_seed
def test_directory_pages_name_every_deliverable_company(seed: int) -> None:
    lists = [p.text for s in world_of(seed).sites.values() for p in s.pages.values() if p.kind == "list"]
    for c in gold_of(seed).companies:
        if c.deliverable:
            assert any(f"{c.name}, {c.city}" in text for text in lists), c.name


@each_seed
def test_a_company_listed_by_its_portal_has_no_other_link(seed: int) -> None:
    pages = [p for s in world_of(seed).sites.values() for p in s.pages.values() if p.kind in ("list", "profile")]
    linked = "\n".join(page.html for page in pages)
    for c in gold_of(seed).companies:
        if "portal_only" in c.traits or "listed_by_portal" in c.traits:
            assert c.portal_host is not None
            assert c.portal_host in linked, c.name
            assert c.domain is None or not re.search(rf"//(www\.)?{re.escape(c.domain)}/", linked), c.name


@each_seed
def test_the_texas_guide_names_companies_elsewhere(seed: int) -> None:
    guide = "\n".join(p.text for p in world_of(seed).sites[GUIDE_HOSTS["TX"]].pages.values())
    foreign = [c for c in gold_of(seed).companies if "other_state_claim" in c.traits and c.state != "TX"]
    assert len(foreign) >= 5
    assert all(c.name in guide for c in foreign)


@each_seed
def test_the_suppression_list_reaches_companies_in_each_way(seed: int) -> None:
    rows = suppressions(world_of(seed))
    domains = {r.domain for r in rows if r.domain}
    by_name = {(r.name.casefold().removesuffix(", llc"), r.state) for r in rows if r.domain is None}
    ways: Counter[str] = Counter()
    for c in gold_of(seed).companies:
        reached = {
            "domain": c.domain in domains,
            "alias": bool(domains.intersection(c.alias_domains)),
            "portal": c.portal_host in domains,
            "name": (c.name.casefold(), c.state) in by_name,
        }
        assert c.suppressed == any(reached.values()), c.name
        ways.update(reached)
    assert all(times >= 2 for times in ways.values()), ways
