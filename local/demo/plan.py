"""The quotas of the world: kinds of companies and traps, how many per state, with which software.

The promises of the demo are kept by counting, not by chance. Every state has a fixed number of each trap. Texas has 55 to 90
deliverable companies with Buildium, and every other state at least 10.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from local.demo.entities import CompanyType, PmsEvidence
from local.demo.vendors import HOA_SYSTEMS, SHORT_TERM_SYSTEMS

COMPANIES_PER_STATE: dict[str, int] = {
    "TX": 240, "FL": 80, "GA": 60, "NC": 50, "AZ": 50, "TN": 45, "OH": 40, "CO": 35,
}  # fmt: skip
# Deliverable Buildium companies in Texas; the promise is 55 to 90.
TEXAS_BUILDIUM = (66, 80)
# In other states: this share of all companies, and at least the floor (the promise is 10).
BUILDIUM_SHARE = 0.36
BUILDIUM_FLOOR = 12

# kind -> (count in Texas, count in each other state). A kind excludes a company from delivery.
EXCLUDED_KINDS: dict[str, tuple[int, int]] = {
    "hoa_only": (6, 2), "brokerage_only": (4, 1), "multifamily_only": (5, 2), "vacation_rental_only": (3, 1),
    "commercial_only": (3, 1), "portal_only": (3, 1), "suppressed": (9, 2), "team_without_emails": (6, 2),
    "no_reachable_decision_maker": (4, 1),
}  # fmt: skip
DEFUNCT_KINDS = ("not_found", "silent", "empty", "parked", "robots_blocked")
# Deliverable, but the software cannot be told for certain.
UNSURE_KINDS: dict[str, tuple[int, int]] = {"weak_pms_signal": (10, 2), "pms_conflict": (4, 1)}
# At most one of these per deliverable company.
SITE_TRAITS: dict[str, tuple[int, int]] = {
    "alias_redirect": (3, 1), "alias_mirror": (3, 1), "listed_by_portal": (4, 1), "blog_slug": (4, 1),
    "prompt_injection": (4, 1), "formula_name": (4, 1), "lookalike_name": (4, 1), "same_name_elsewhere": (6, 2),
    "other_state_claim": (4, 1),
}  # fmt: skip
# At most one of these per deliverable company, independent of the site traits.
TEAM_TRAITS: dict[str, tuple[int, int]] = {
    "free_mail_decision_maker": (4, 1), "obfuscated_email": (8, 2), "other_script_name": (4, 1),
    "placeholder_person": (8, 2), "partner_testimonial": (10, 2),
}  # fmt: skip
# These need a certain vendor, because the trait or the merge rule uses it.
_NEEDS_BUILDIUM = frozenset({"blog_slug"})
_NEEDS_SLUG = frozenset({"alias_mirror", "listed_by_portal", "lookalike_name"})

_OTHER_VENDORS = {
    "AppFolio": 46, "Rentvine": 9, "Propertyware": 9, "Rent Manager": 9, "DoorLoop": 7, "Rentec Direct": 5,
    "Yardi": 4, "Entrata": 1, None: 10,
}  # fmt: skip
_VENDORS_OF_KIND: dict[str, tuple[str | None, ...]] = {
    "hoa_only": HOA_SYSTEMS,
    "vacation_rental_only": SHORT_TERM_SYSTEMS,
    "multifamily_only": ("Yardi", "Entrata", "RealPage", "ResMan", "AppFolio", "Buildium"),
    "brokerage_only": (None,),
    "commercial_only": (None, "Yardi", "AppFolio"),
}
_TYPE_OF_KIND: dict[str, CompanyType] = {
    "hoa_only": "hoa",
    "brokerage_only": "brokerage",
    "multifamily_only": "multifamily",
    "vacation_rental_only": "vacation_rental",
    "commercial_only": "commercial",
}


@dataclass
class Slot:
    """The outline of one company before it has a name. Mutable, because quotas are distributed over the slots."""

    state: str
    kind: str
    company_type: CompanyType
    vendor: str | None
    evidence: PmsEvidence
    traits: list[str] = field(default_factory=list)


def plan_slots(rng: Random) -> list[Slot]:
    """Make the outlines of all companies, grouped by state in the order of `COMPANIES_PER_STATE`."""
    return [slot for state in COMPANIES_PER_STATE for slot in _plan_state(rng, state)]


def _plan_state(rng: Random, state: str) -> list[Slot]:
    size, column = COMPANIES_PER_STATE[state], 0 if state == "TX" else 1
    slots = [_excluded(rng, state, kind) for kind, counts in EXCLUDED_KINDS.items() for _ in range(counts[column])]
    dead = [*DEFUNCT_KINDS, *DEFUNCT_KINDS] if column == 0 else rng.sample(DEFUNCT_KINDS, 2)
    slots += [Slot(state, k, "single_family", rng.choice(("Buildium", "AppFolio", None)), "agreeing") for k in dead]
    slots += [_unsure(rng, state, kind) for kind, counts in UNSURE_KINDS.items() for _ in range(counts[column])]
    room = size - len(slots)
    wanted = rng.randint(*TEXAS_BUILDIUM) if column == 0 else max(BUILDIUM_FLOOR, round(BUILDIUM_SHARE * size))
    sure = [_sure(rng, state, "Buildium") for _ in range(wanted)]
    sure += [_sure(rng, state, _draw_vendor(rng)) for _ in range(room - wanted)]
    rng.shuffle(sure)
    _hand_out(rng, sure, SITE_TRAITS, column)
    _hand_out(rng, sure, TEAM_TRAITS, column)
    slots += sure
    rng.shuffle(slots)
    return slots


def _excluded(rng: Random, state: str, kind: str) -> Slot:
    company_type = _TYPE_OF_KIND.get(kind) or _residential(rng)
    if kind in _VENDORS_OF_KIND:
        vendor = rng.choice(_VENDORS_OF_KIND[kind])
    else:
        vendor = "Buildium" if rng.random() < 0.55 else rng.choice(("AppFolio", "Rentvine", "Propertyware"))
    return Slot(state, kind, company_type, vendor, "agreeing" if vendor else "nothing")


def _unsure(rng: Random, state: str, kind: str) -> Slot:
    vendor = "Buildium" if rng.random() < 0.5 else rng.choice(("AppFolio", "Rentvine", "DoorLoop"))
    evidence: PmsEvidence = "two_vendors" if kind == "pms_conflict" else rng.choice(("single_link", "text_only"))
    return Slot(state, kind, _residential(rng), vendor, evidence)


def _sure(rng: Random, state: str, vendor: str | None) -> Slot:
    return Slot(state, "ordinary", _residential(rng), vendor, "agreeing" if vendor else "nothing")


def _residential(rng: Random) -> CompanyType:
    return "single_family" if rng.random() < 0.68 else "mixed_residential"


def _draw_vendor(rng: Random) -> str | None:
    return rng.choices(list(_OTHER_VENDORS), weights=list(_OTHER_VENDORS.values()))[0]


def _hand_out(rng: Random, slots: list[Slot], quotas: dict[str, tuple[int, int]], column: int) -> None:
    free = list(slots)
    rng.shuffle(free)
    # Traits with the most requirements first, so that one pass is enough.
    for trait in sorted(quotas, key=lambda t: (t not in _NEEDS_BUILDIUM, t not in _NEEDS_SLUG, t)):
        for _ in range(quotas[trait][column]):
            slot = next(s for s in free if _suits(s, trait))
            slot.traits.append(trait)
            free.remove(slot)


def _suits(slot: Slot, trait: str) -> bool:
    if trait in _NEEDS_BUILDIUM:
        return slot.vendor == "Buildium"
    if trait in _NEEDS_SLUG:
        return slot.vendor not in (None, "Rentec Direct")
    return True
