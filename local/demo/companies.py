"""Turns the outlines of `plan.py` into companies with places, names, domains, portals, facts and teams."""

from __future__ import annotations

import re
from itertools import cycle
from random import Random

from local.demo.entities import (
    Alias,
    Company,
    CompanyType,
    Person,
    Place,
    Portal,
    SiteState,
    SuppressionReason,
    SuppressionRow,
    UnitsBasis,
)
from local.demo.geo import City, neighbours, pick_city, pick_place
from local.demo.names import FORMULA_NAMES, LEGAL_SUFFIXES, LOOKALIKE_NAMES, TWIN_NAMES, Register
from local.demo.people import FORMULA_PERSON_NAMES, OTHER_SCRIPT_NAMES, TeamMaker
from local.demo.plan import DEFUNCT_KINDS, Slot, plan_slots
from local.demo.prose import PORTFOLIOS
from local.demo.vendors import ADD_ONS, open_portal

_STREETS = (
    "Main St", "Oak Ave", "Congress Ave", "Commerce St", "Elm St", "Park Blvd", "Market St", "Highland Dr", "Lake Rd",
    "Church St", "2nd Ave", "Mill Creek Rd", "Preston Rd", "Broadway", "Peachtree Ln", "Courthouse Sq", "Airport Blvd",
)  # fmt: skip
_WEBSITE_VENDORS = ("PMW", "DoorGrow", "Fourandhalf", "Upkeep")
_DISQUALIFIED = ("hoa_only", "multifamily_only", "commercial_only", "brokerage_only", "vacation_rental_only")
_ELSEWHERE_CUSTOMERS = (
    ("harborlightpm.example", "Harbor Light PM", "WA"), ("empirestateleasing.example", "Empire State Leasing", "NY"),
    ("greatlakesrentals.example", "Great Lakes Rentals", "MI"), ("beltwayhomes.example", "Beltway Homes", "VA"),
)  # fmt: skip


def make_companies(rng: Random) -> tuple[Company, ...]:
    """Make all companies of a world, grouped by state in the order of the plan."""
    return _Maker(rng).make_all()


def make_suppressions(rng: Random, companies: tuple[Company, ...]) -> tuple[SuppressionRow, ...]:
    """Make the customer's suppression list. Rows have a domain, an alias, a portal host, or only name and state."""
    reasons: tuple[SuppressionReason, ...] = ("customer", "contacted", "do_not_contact")
    rows = [SuppressionRow(domain=d, name=n, state=s, reason="customer") for d, n, s in _ELSEWHERE_CUSTOMERS]
    for number, c in enumerate(c for c in companies if c.suppressed):
        domain, name = c.domain, c.name
        match number % 5:
            case 1 if c.aliases:
                domain = c.aliases[0].domain
            case 2 if c.portal is not None and c.portal.slug and c.portal.host.startswith(c.portal.slug):
                domain = c.portal.host
            case 3:
                # Only the name, in the spelling of a CRM.
                domain, name = None, f"{c.name.upper() if number % 2 else c.name}, LLC"
        rows.append(SuppressionRow(domain=domain, name=name, state=c.place.state, reason=reasons[number % 3]))
    rng.shuffle(rows)
    return tuple(rows)


class _Maker:
    """Makes the companies of one world."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._register = Register(rng)
        self._formulas, self._lookalikes = iter(FORMULA_NAMES), iter(LOOKALIKE_NAMES)
        self._twins = iter([name for name in TWIN_NAMES for _ in range(2)])
        self._suppressed = cycle((False, True, False, False, False))  # in step with make_suppressions
        self._formula_people = cycle(FORMULA_PERSON_NAMES)

    def make_all(self) -> tuple[Company, ...]:
        return tuple(self._make(slot) for slot in plan_slots(self._rng))

    def _make(self, slot: Slot) -> Company:
        rng = self._rng
        name, city, place = self._named(slot)
        if "lookalike_name" in slot.traits:
            domain: str | None = self._register.lookalike_domain(name, place)
        else:
            domain = None if slot.kind == "portal_only" else self._register.domain(name, place)
        portal = open_portal(slot.vendor, self._register.slug(name, domain)) if slot.vendor else None
        team, decoys = self._people(slot, domain)
        units, basis, listings = self._units(slot.company_type)
        dead = slot.kind in DEFUNCT_KINDS or slot.kind == "portal_only"
        maker = TeamMaker(rng, domain)
        hoa_or_stay = slot.kind in ("hoa_only", "vacation_rental_only")
        return Company(
            name=name,
            legal_suffix=rng.choice(LEGAL_SUFFIXES) if rng.random() < 0.3 else "",
            domain=domain,
            website=f"http://{'www.' if rng.random() < 0.35 else ''}{domain}/" if domain else None,
            aliases=self._aliases(slot, name, place, domain),
            place=place,
            street=f"{rng.randrange(100, 9900)} {rng.choice(_STREETS)}",
            phone=self._register.phone(place),
            site_state=_site_state(slot.kind),
            company_type="unknown" if dead else slot.company_type,
            disqualifiers=(slot.kind,) if slot.kind in _DISQUALIFIED else (),
            portfolio=rng.choice(PORTFOLIOS[slot.company_type]),
            portal=portal,
            second_portal=self._second(slot, name, domain, portal),
            pms=None if hoa_or_stay else slot.vendor,
            pms_evidence=slot.evidence,
            add_ons=tuple(rng.sample(list(ADD_ONS), 1)) if rng.random() < 0.25 else (),
            units=None if dead else units,
            units_basis=None if dead else basis,
            listings=0 if dead else listings,
            founded=rng.randrange(1978, 2023) if rng.random() < 0.6 else None,
            employees=rng.randrange(3, 60) if rng.random() < 0.35 else None,
            website_vendor=rng.choice(_WEBSITE_VENDORS) if rng.random() < 0.3 else None,
            association="NARPM" if rng.random() < 0.3 else None,
            areas_served=neighbours(city, rng.randrange(2, 6)) if rng.random() < 0.7 else (),
            team=team,
            decoys=decoys,
            partner_quote=maker.partner_quote() if "partner_testimonial" in slot.traits else None,
            role_mailboxes=tuple(f"{b}@{domain}" for b in rng.sample(("info", "leasing", "office"), rng.randrange(3))),
            suppressed=slot.kind == "suppressed",
            listed_by="portal" if slot.kind == "portal_only" or "listed_by_portal" in slot.traits else "site",
            traits=tuple(([] if slot.kind == "ordinary" else [slot.kind]) + slot.traits),
            style_seed=rng.getrandbits(48),
        )

    def _named(self, slot: Slot) -> tuple[str, City, Place]:
        """Choose a name and a city for it. A planned name moves to another city if it could be confused there."""
        rng, fixed = self._rng, None
        for trait, pool in (
            ("formula_name", self._formulas),
            ("lookalike_name", self._lookalikes),
            ("same_name_elsewhere", self._twins),
        ):
            fixed = next(pool) if trait in slot.traits else fixed
        while True:
            city = pick_city(rng, slot.state)
            place = pick_place(rng, city)
            if fixed is None:
                return self._register.company_name(slot.company_type, place), city, place
            if self._register.claim_name(fixed, place, twin="same_name_elsewhere" in slot.traits):
                return fixed, city, place

    def _aliases(self, slot: Slot, name: str, place: Place, domain: str | None) -> tuple[Alias, ...]:
        if slot.kind == "suppressed" and next(self._suppressed):
            return (Alias(domain=self._register.domain(f"{name} {place.city}", place), kind="redirect"),)
        if domain is None or not ({"alias_redirect", "alias_mirror"} & set(slot.traits)):
            return ()
        other = self._register.domain(f"{' '.join(re.findall(r'[A-Za-z]+', name)[:2])} {place.city} homes", place)
        return (Alias(domain=other, kind="redirect" if "alias_redirect" in slot.traits else "mirror"),)

    def _second(self, slot: Slot, name: str, domain: str | None, portal: Portal | None) -> Portal | None:
        if slot.evidence != "two_vendors" or portal is None:
            return None
        vendor = self._rng.choice([v for v in ("Buildium", "AppFolio", "Rent Manager", "Yardi") if v != portal.vendor])
        return open_portal(vendor, self._register.slug(f"{name} two", domain))

    def _units(self, company_type: CompanyType) -> tuple[int | None, UnitsBasis | None, int]:
        """Return units, their basis and the number of listings.

        65 % of sites state units, 17 % show only listings, and the rest show neither.
        """
        rng, draw = self._rng, self._rng.random()
        if company_type == "brokerage":
            return None, None, 0
        if draw < 0.65:
            units = min(4200, max(18, int(rng.lognormvariate(5.6, 0.85))))
            return (units if units < 100 or rng.random() < 0.4 else units - units % 10), "stated", 0
        if company_type in ("hoa", "commercial", "vacation_rental"):
            return None, None, 0  # these have no homes for rent by the month
        listings = rng.randrange(4, 36)
        # With listings but no units, units are estimated as 10 x listings (docs/domain.md).
        return (10 * listings, "estimated", listings) if draw < 0.82 else (None, None, 0)

    def _people(self, slot: Slot, domain: str | None) -> tuple[tuple[Person, ...], tuple[Person, ...]]:
        rng, maker, traits = self._rng, TeamMaker(self._rng, domain), slot.traits
        size = rng.choices((1, 2, 3, 4, 5, 6), weights=(14, 24, 26, 18, 11, 7))[0]
        if slot.kind == "team_without_emails":
            team = [maker.decision_maker(reachable=False)]
            team += [maker.colleague(reachable=False) for _ in range(size - 1)]
        elif slot.kind == "no_reachable_decision_maker":
            team = [maker.person(rng.choice((1, 2, 4)), reachable=False), maker.person(6, reachable=True)]
            team += [maker.person(None, reachable=True)] if rng.random() < 0.5 else []
        elif "free_mail_decision_maker" in traits:
            team = [maker.person(1, free_mail=True)] + [maker.colleague() for _ in range(min(size, 3) - 1)]
        else:
            team = [maker.decision_maker(reachable=True)] + [maker.colleague() for _ in range(size - 1)]
        if "obfuscated_email" in traits:
            team.append(maker.person(rng.choice((2, 4)), form="obfuscated"))
        if "other_script_name" in traits:
            team.append(maker.person(rng.choice((1, 2, 4)), name=rng.choice(OTHER_SCRIPT_NAMES), form="mailto"))
        if "formula_name" in traits:
            team.append(maker.person(4, name=next(self._formula_people), form="mailto"))
        decoys = [maker.placeholder() for _ in range(rng.randrange(1, 3))] if "placeholder_person" in traits else []
        return tuple(team), tuple(decoys)


def _site_state(kind: str) -> SiteState:
    match kind:
        case "not_found" | "silent" | "empty" | "parked" | "robots_blocked":
            return kind
        case "portal_only":
            return "no_site"
        case _:
            return "alive"
