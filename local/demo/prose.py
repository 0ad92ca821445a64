"""The sentences on companies' pages. Each fact has many wordings, so a fixed pattern does not find it."""

from __future__ import annotations

from random import Random

from local.demo.entities import Company, CompanyType
from local.demo.geo import STATE_NAMES

PORTFOLIOS: dict[CompanyType, tuple[str, ...]] = {
    "single_family": (
        "Most of what we manage is single-family homes, with a handful of duplexes.",
        "We manage single-family rentals for owners, and only that.",
        "Nine out of ten of our properties are detached houses.",
        "Houses, townhomes and the odd duplex: single-family rental is our craft.",
        "Our portfolio is made of single family homes owned by local and out-of-state investors.",
    ),
    "mixed_residential": (
        "About 60% of what we manage is single-family homes; the rest are duplexes and small apartment buildings.",
        "Our portfolio mixes single-family homes with small multifamily buildings, roughly two to one.",
        "From single family houses (the larger half) to 20-unit apartment buildings, we manage it for you.",
        "We look after rental houses first, and condos and small multi-family properties as well.",
    ),
    "multifamily": (
        "We manage apartment communities of 80 units and more, and no single-family homes.",
        "Our focus is exclusively multifamily: garden-style and mid-rise apartment communities.",
        "We operate apartment communities on behalf of institutional owners; we do not take on houses.",
    ),
    "hoa": (
        "We serve homeowner and condominium associations only and do not manage rental homes.",
        "Boards of HOAs and condo associations are our only clients.",
        "Community association management is all we do: budgets, board meetings, covenants.",
    ),
    "commercial": (
        "We manage office, retail and industrial buildings; we do not handle residential property.",
        "Shopping centers, warehouses and medical offices are our world. No residential.",
    ),
    "vacation_rental": (
        "We manage short-term vacation rentals and nothing else: nightly and weekly stays.",
        "Our homes are rented by the night. We do not offer long-term leasing.",
    ),
    "brokerage": (
        "We help people buy and sell homes. We do not offer property management.",
        "A residential sales brokerage: listings, buyers, closings. For rental management we refer you to others.",
    ),
}  # fmt: skip
_UNITS = (
    "We manage over {n} homes across {city} and the surrounding area.",
    "Today that means {n} doors under management.",
    "Owners trust us with more than {n} rental units.",
    "Our portfolio has grown to {n} units.",
    "{n}+ properties under management, and every one of them inspected twice a year.",
    "We currently look after {n} rental homes.",
    "With {n} doors under management we are big enough to get good prices and small enough to know your name.",
    "Our team is responsible for approximately {n} rentals in {area} and beyond.",
    "Units managed: {n}",
    "At present we care for {n} residences on behalf of their owners.",
)
# For companies that do not rent out houses: without "homes" and "rentals", which would contradict their sites.
_UNITS_NEUTRAL = (
    "That makes {n} doors under management.", "Our portfolio has grown to {n} units.", "Units managed: {n}",
    "We are responsible for more than {n} units in {area} and beyond.",
)  # fmt: skip
_FOUNDED = (
    "Founded in {y}, we are still family owned.", "Serving {city} since {y}.", "Established {y}.",
    "Our story begins in {y} at a kitchen table in {city}.", "We have been at it since {y}.",
)  # fmt: skip
_EMPLOYEES = (
    "A team of {n} works out of our {city} office.", "Our staff of {n} is here for you.",
    "{n} full-time employees stand behind every lease.", "There are {n} of us, and you will meet most of us.",
)  # fmt: skip
_AREAS = (
    "We serve {list} and nearby communities.", "Areas we cover: {list}.", "You will find our signs in {list}.",
    "Our service area includes {list}.",
)  # fmt: skip
# Figures that are not the number of units under management.
_DISTRACTORS = (
    "Last year we closed 3,{a:03d} work orders, nine out of ten within two days.",
    "Read our {b} five-star reviews.",
    "Rents in {city} rose by {c} percent last year.",
    "Our eviction rate is below {c} %.",
    "The average home we list is rented within {b} days.",
    "Our office is a short walk from {b} restaurants, and coffee is on us.",
    "Owners get their money by the {c}th of the month.",
)
_LEADS = (
    "{name} is a property management company in {city}, {st}.",
    "{name} takes care of rental property in and around {city}, {state}.",
    "Looking for property managers in {city}, {st}? {name} leases, maintains and accounts for your property.",
    "Welcome to {name}, full-service property management for {city} and the surrounding area.",
    "{name}: {city} property management that answers the phone.",
)
_LEADS_BROKERAGE = (
    "{name} helps you buy and sell homes in {city}, {st}.",
    "{name}: real estate agents in {city}, {state}, since the days of paper listings.",
)
_SERVICES = (
    "Tenant screening, leasing, rent collection, maintenance and monthly statements are included in one flat fee.",
    "We advertise your home, screen applicants, collect rent and answer the 2 a.m. call about the water heater.",
    "No setup fee, no markup on repairs, and you can cancel any time.",
    "Our inspectors visit each home twice a year and send you photos.",
    "You approve every repair above $300 before we order it.",
    "We take the stress out of owning rental property.",
    "Owners see every invoice online; residents pay rent and request maintenance online.",
)
_SERVICES_OF_TYPE: dict[CompanyType, tuple[str, ...]] = {
    "multifamily": (
        "On-site teams lease, maintain and report for every community.",
        "Institutional owners get budgets, forecasts and monthly variance reports.",
    ),
    "hoa": ("Board meetings, budgets, assessments and covenants, handled.", "Homeowners pay dues online."),
    "commercial": ("Lease administration, CAM reconciliation and building engineering.", "One invoice per building."),
    "vacation_rental": ("Cleaning, linen, guest messages, nightly pricing.", "Book a stay or list your cabin."),
    "brokerage": ("List with us and pay at closing.", "Our agents know every neighborhood of the city."),
}
_RESIDENTS_OF_TYPE: dict[CompanyType, str] = {
    "hoa": "Homeowners: pay dues, read the minutes, ask for an architectural review.",
    "commercial": "Tenants: building hours, parking and certificates of insurance.",
    "vacation_rental": "Guests: check-in is at 4 p.m., the door code arrives by text.",
    "brokerage": "Thinking of buying? Start with a pre-approval letter.",
}
_CLOSERS = (
    "Call us for a free rental analysis.", "Find out what your home would rent for.", "Talk to a manager today.",
    "Ask us anything; we answer within one business day.",
)  # fmt: skip


def intro(rng: Random, c: Company) -> str:
    """Return the first sentence of a home page: name, trade, place."""
    pool = _LEADS_BROKERAGE if c.company_type == "brokerage" else _LEADS
    return rng.choice(pool).format(name=c.name, city=c.place.city, st=c.place.state, state=STATE_NAMES[c.place.state])


def services(rng: Random, c: Company, count: int) -> list[str]:
    """Return sales talk without facts."""
    own = _SERVICES_OF_TYPE.get(c.company_type)
    return list(own[:count]) if own else rng.sample(_SERVICES, count)


def residents_text(c: Company) -> str:
    """Return the first sentence of the page for residents, guests, homeowners or buyers."""
    return _RESIDENTS_OF_TYPE.get(c.company_type, "Pay rent, request maintenance, find your lease.")


def units_sentence(rng: Random, c: Company) -> str:
    """Return a sentence that states the units. Figures above 999 may have a comma."""
    if c.units is None or c.units_basis != "stated":
        return ""
    n = f"{c.units:,}" if rng.random() < 0.7 else str(c.units)
    area = c.areas_served[0] if c.areas_served else c.place.city
    pool = _UNITS if c.company_type in ("single_family", "mixed_residential") else _UNITS_NEUTRAL
    return rng.choice(pool).format(n=n, city=c.place.city, area=area)


def founded_sentence(rng: Random, c: Company) -> str:
    """Return a sentence with the founding year, or nothing."""
    return rng.choice(_FOUNDED).format(y=c.founded, city=c.place.city) if c.founded else ""


def employees_sentence(rng: Random, c: Company) -> str:
    """Return a sentence with the number of employees, or nothing."""
    return rng.choice(_EMPLOYEES).format(n=c.employees, city=c.place.city) if c.employees else ""


def areas_sentence(rng: Random, c: Company) -> str:
    """Return a sentence with the cities served, or nothing."""
    if not c.areas_served:
        return ""
    names = [c.place.city, *c.areas_served]
    return rng.choice(_AREAS).format(list=", ".join(names[:-1]) + " and " + names[-1])


def distractor(rng: Random, c: Company) -> str:
    """Return a plausible sentence with a figure that is not the units."""
    return rng.choice(_DISTRACTORS).format(
        a=rng.randrange(1000), b=rng.randrange(11, 480), c=rng.randrange(2, 12), city=c.place.city
    )


def closer(rng: Random) -> str:
    """Return the call to action at the end of a page."""
    return rng.choice(_CLOSERS)


def review(rng: Random) -> str:
    """Return a review by a resident or owner."""
    return rng.choice(
        (
            "They found us a tenant in nine days.",
            "Maintenance came the same afternoon.",
            "I have owned rentals for twenty years and finally sleep well.",
            "Clear statements, no surprises.",
        )
    )
