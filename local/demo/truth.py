"""The gold table: what a perfect reader of the demo web would deliver, and why it would drop the rest.

Benchmarks compare against it. It comes from the world's records, not from its pages, and uses no product code.
"""

from __future__ import annotations

import csv
import io
from collections import Counter

from local.demo.entities import Company, CompanyType, Frozen, PmsStatus, SuppressionRow, UnitsBasis, World

# States of a site that shows no company.
_DEAD = ("not_found", "silent", "empty", "parked")


class GoldContact(Frozen):
    """A person of the company with decision-maker level 1-6. `email` is None unless the site shows it."""

    full_name: str
    title: str
    level: int
    email: str | None
    email_published: bool
    linkedin_url: str | None
    reachable: bool


class GoldDecoy(Frozen):
    """A person on a page who is not a contact of the company."""

    full_name: str
    why: str


class GoldCompany(Frozen):
    """One company as the pipeline should report it."""

    name: str
    domain: str | None
    alias_domains: list[str]
    portal_host: str | None
    portal_slug: str | None
    website: str | None
    state: str
    city: str
    zip: str
    phone: str
    pms: str | None
    pms_status: PmsStatus
    pms_candidates: list[str]
    units: int | None
    units_basis: UnitsBasis | None
    company_type: CompanyType
    icp_disqualifiers: list[str]
    suppressed: bool
    deliverable: bool
    not_deliverable_reason: str | None
    decision_makers: list[GoldContact]
    other_staff: list[str]
    not_contacts: list[GoldDecoy]
    founded: int | None
    employees: int | None
    website_vendor: str | None
    association: str | None
    traits: list[str]


class GoldTable(Frozen):
    seed: int
    companies: list[GoldCompany]


def not_deliverable_reason(company: Company) -> str | None:
    """Return why a company may never be delivered under any criteria, or None.

    Checks in the order of the pipeline: identity, site, suppression, profile, contacts.
    """
    if company.domain is None:
        return "no_own_domain"
    if company.site_state in _DEAD:
        return "defunct"
    if company.site_state == "robots_blocked":
        return "blocked_by_robots"
    if company.suppressed:
        return "suppressed"
    if company.disqualifiers:
        return company.disqualifiers[0]
    if not any(p.reachable and p.level is not None and p.level <= 5 for p in company.team):
        return "no_reachable_contact"
    return None


def deliverable(company: Company) -> bool:
    return not_deliverable_reason(company) is None


def gold_table(world: World) -> GoldTable:
    return GoldTable(seed=world.seed, companies=[_gold(c) for c in world.companies])


def suppressions(world: World) -> list[SuppressionRow]:
    """Return the customer's suppression list. It is an *input* of the product."""
    return list(world.suppressions)


def suppressions_csv(world: World) -> str:
    """Return the list as CSV: `domain,name,state,reason`. The domain may be empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("domain", "name", "state", "reason"))
    writer.writerows((row.domain or "", row.name, row.state, row.reason) for row in world.suppressions)
    return out.getvalue()


def summary(world: World) -> str:
    """Return a readable summary of the gold table."""
    gold = gold_table(world).companies
    lines = [f"demo world, seed {world.seed}: {len(gold)} fictional companies on {len(world.sites)} hosts", ""]
    lines.append(f"{'state':<6}{'all':>6}{'deliverable':>13}{'and Buildium':>14}")
    for state in dict.fromkeys(c.state for c in gold):
        here = [c for c in gold if c.state == state]
        good = [c for c in here if c.deliverable]
        lines.append(f"{state:<6}{len(here):>6}{len(good):>13}{sum(c.pms == 'Buildium' for c in good):>14}")
    for title, counts in (
        ("software (detected)", Counter(c.pms or c.pms_status for c in gold)),
        ("not deliverable", Counter(c.not_deliverable_reason for c in gold if c.not_deliverable_reason)),
        ("traits", Counter(t for c in gold for t in c.traits)),
    ):
        ranked = sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
        lines += ["", title, *(f"  {name:<32}{n:>5}" for name, n in ranked)]
    return "\n".join(lines) + "\n"


def _gold(c: Company) -> GoldCompany:
    readable = c.site_state == "alive"
    status = c.pms_status
    candidates = [p.vendor for p in (c.portal, c.second_portal) if p is not None] if status != "none" else []
    people = [p for p in c.team if p.level is not None] if readable else []
    decoys = [GoldDecoy(full_name=p.full_name, why="placeholder") for p in c.decoys]
    if c.partner_quote:
        decoys.append(GoldDecoy(full_name=c.partner_quote.full_name, why="other_company"))
    if "prompt_injection" in c.traits:
        decoys.append(GoldDecoy(full_name="Max Mustermann", why="prompt_injection"))
    return GoldCompany(
        name=c.name,
        domain=c.domain,
        alias_domains=[a.domain for a in c.aliases],
        portal_host=c.portal.host if c.portal and c.pms_evidence != "text_only" else None,
        portal_slug=c.portal.slug if c.portal and c.pms_evidence != "text_only" else None,
        website=c.website,
        state=c.place.state,
        city=c.place.city,
        zip=c.place.zip,
        phone=c.phone,
        pms=c.pms if status == "detected" else None,
        pms_status=status,
        pms_candidates=candidates,
        units=c.units,
        units_basis=c.units_basis,
        company_type=c.company_type,
        icp_disqualifiers=["defunct"] if c.site_state in _DEAD else list(c.disqualifiers),
        suppressed=c.suppressed,
        deliverable=deliverable(c),
        not_deliverable_reason=not_deliverable_reason(c),
        decision_makers=[
            GoldContact(
                full_name=p.full_name,
                title=p.title,
                level=p.level or 6,
                email=p.email,
                email_published=p.email is not None,
                linkedin_url=p.linkedin_url,
                reachable=p.reachable,
            )
            for p in people
        ],
        other_staff=[p.full_name for p in c.team if p.level is None] if readable else [],
        not_contacts=decoys if readable else [],
        founded=c.founded if readable else None,
        employees=c.employees if readable else None,
        website_vendor=c.website_vendor if readable else None,
        association=c.association,
        traits=list(c.traits),
    )
