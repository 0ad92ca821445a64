"""Names and domains of companies: word pools, and a register that keeps companies distinct.

The product merges companies in one city if their names have a Jaro-Winkler similarity of 0.90 or more. So the register
refuses such names. Domains, slugs and phones are unique.
"""

from __future__ import annotations

import re
from random import Random

from rapidfuzz.distance import JaroWinkler

from local.demo.entities import CompanyType, Place

TOO_ALIKE = 0.88  # below the product's 0.90, so that rounding or a stripped word does not merge two companies


def words(text: str) -> tuple[str, ...]:
    """Split a readable sentence into a word pool."""
    return tuple(text.split())


_FIRST = words(
    "Lone Cedar Blue Red Silver Golden Granite Copper Iron Maple Oak Willow Juniper Sage Prairie Summit Harbor Coastal "
    "Heritage Liberty Pioneer Frontier Beacon Compass Keystone Cornerstone Evergreen Crescent Highland Lakeside River "
    "Canyon Mesa Desert Magnolia Peach Palmetto Dogwood Hickory Birch Aspen Timber Stone Bright North South Western "
    "Twin Grand Royal Noble True Swift Quiet Sunny Windy Amber Ivory Cobalt Scarlet Hunter Falcon Heron Bison"
)
_SECOND = words(
    "Ridge Creek Gate Bridge Point Grove Field Hollow Springs Crossing Trail Peak Valley Harbor Shore Meadow Mill Lane "
    "Key Door Roof Hearth Porch Nest Anchor Star Oak Rock Wood Haven Landing Bluff Bend Fork Pass Square Court Arrow"
)
SURNAMES = words(
    "Hargrove Whitaker Delgado Okafor Nguyen Castellano Brandt Mercer Holloway Pruitt Sandoval Lindqvist Abernathy "
    "Tran Beaumont Calloway Drummond Esparza Fairchild Gallagher Huang Iverson Jennings Kowalski Lockhart Maddox "
    "Navarro Ostrowski Pemberton Quintero Ramsey Stanton Thibodeaux Underhill Villanueva Wexler Yamamoto Zamora "
    "Ashby Boudreaux Carmichael Dawson Ellington Forsythe Grady Hendricks Ingram Jarrett Kessler Langford Montoya "
    "Nakamura Osborne Patel Rutledge Schaefer Tillman Upshaw Vance Winslow Youngblood Bautista Cho Dimitrov Egan"
)
_INVENTED = words(
    "Habitera Domvia Rentaro Leasora Homelio Keyvanta Casalume Dwellmark Nestora Abodewell Tenura Propella Doorvale "
    "Roofline Residian Gatewise Livorra Homestro Keystead Hausly Vacanza Manorly Stewarda Landora Provena Housanna"
)
_TAILS: dict[str, tuple[str, ...]] = {
    "residential": (
        "Property Management", "Realty & Property Management", "Rentals", "Homes", "Residential", "Management Group",
        "Property Group", "Rental Homes", "PM", "Property Services", "Real Estate Management", "Leasing & Management",
        "Home Rentals", "Properties", "Management Co.", "Rental Management",
    ),
    "multifamily": ("Apartments", "Multifamily", "Apartment Communities", "Communities", "Apartment Management"),
    "hoa": ("Community Association Management", "HOA Management", "Association Services", "Community Management"),
    "commercial": ("Commercial", "Commercial Properties", "Commercial Real Estate", "Industrial Properties"),
    "vacation_rental": ("Vacation Rentals", "Vacation Homes", "Stays", "Getaways"),
    "brokerage": ("Realty", "Real Estate Group", "Real Estate", "Realtors", "Homes Realty"),
}  # fmt: skip
LEGAL_SUFFIXES = (", LLC", " LLC", ", Inc.", " Inc", ", L.P.", " Company, LLC")

# Names that contain a vendor's name, such as "courtYARDInvestments".
LOOKALIKE_NAMES = (
    "Courtyard Investments", "The Rent Managers", "Stonesite Living", "Ventrata", "Shipyard Income Properties",
    "Limestonesite Homes", "Torrentvine Rentals", "Centrata Homes", "Churchyard Investments", "Vineyard Income Homes",
    "Your Rent Manager Pros",
)  # fmt: skip
FORMULA_NAMES = (
    "=Homes & Co", "+1 Property Group", "@Home Realty", "-Dash PM", "=Rent Right Realty", "+Plus Rental Homes",
    "@Lease Property Care", "-Minus Fees Management", "=SUM Properties", "+Key Residential", "@Door Rentals",
)  # fmt: skip
TWIN_NAMES = (
    "Liberty Oak Property Management", "First Choice Rentals", "Premier Key Realty & Management", "HomeFirst Leasing",
    "Patriot Residential", "Gateway Rental Homes", "Crown Property Services", "Patio Homes Management",
    "Allstar Rental Management", "Guardian Property Management",
)  # fmt: skip


class Register:
    """Assigns names, domains, slugs and phones, each once. Holds all mutable state of a generation."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._names: set[str] = set()
        self._by_city: dict[tuple[str, str], list[str]] = {}
        self._domains: set[str] = set()
        self._slugs: set[str] = set()
        self._phones: set[str] = set()

    def company_name(self, company_type: CompanyType, place: Place) -> str:
        """Return a new name for this kind of company, distinct from all others in the city."""
        tails = _TAILS.get(company_type, _TAILS["residential"])
        while True:
            name = f"{self._core(place.city)} {self._rng.choice(tails)}"
            if self.claim_name(name, place):
                return name

    def claim_name(self, name: str, place: Place, *, twin: bool = False) -> bool:
        """Reserve `name` in the city, and return whether it is distinct there. A twin may repeat another city's name."""
        plain = name.casefold()
        here = self._by_city.setdefault((place.state, place.city), [])
        if (plain in self._names and not twin) or any(
            JaroWinkler.similarity(plain, other) >= TOO_ALIKE for other in here
        ):
            return False
        self._names.add(plain)
        here.append(plain)
        return True

    def domain(self, name: str, place: Place) -> str:
        """Return a free `.example` domain made from the name."""
        parts = re.findall(r"[a-z0-9]+", name.casefold().replace("&", " and "))
        short = [w for w in parts if w not in ("property", "management", "the", "and", "group", "co", "real", "estate")]
        core, city = "".join(short) or "".join(parts), re.sub(r"[^a-z]", "", place.city.casefold())
        styles = ["".join(parts), f"{core}pm", f"{core}rentals", f"{core}mgmt", "-".join(parts), f"rent{core}"]
        options = [styles[0]] if self._rng.random() < 0.4 else [self._rng.choice(styles)]
        options += [*styles, f"{core}{city}", f"{core}{place.state.casefold()}", f"{core}{city}{place.zip}"]
        return self._first_free([f"{o}.example" for o in options], self._domains)

    def lookalike_domain(self, name: str, place: Place) -> str:
        """Return the whole name without spaces, such as `courtyardinvestments`: a trap for substring matching."""
        core = "".join(re.findall(r"[a-z0-9]+", name.casefold()))
        return self._first_free([f"{core}.example", f"{core}{place.state.casefold()}.example"], self._domains)

    def slug(self, name: str, domain: str | None) -> str:
        """Return a portal account slug, usually close to the domain."""
        parts = re.findall(r"[a-z0-9]+", name.casefold())
        base = domain.removesuffix(".example").replace("-", "") if domain else "".join(parts)
        short = "".join(w[0] for w in parts[1:]) or "pm"
        options = [base, f"{parts[0]}{short}", f"{base}pm", f"{base}homes", f"{base}1", f"{base}2", f"{base}3"]
        if self._rng.random() < 0.3:
            options[0], options[1] = options[1], options[0]
        return self._first_free(options, self._slugs)

    def phone(self, place: Place) -> str:
        """Return a number such as `(512) 555-0143`. 555-01xx is reserved for fiction."""
        start = self._rng.randrange(100)
        tail = [f"555-01{(start + i) % 100:02d}" for i in range(100)]
        return self._first_free([f"({place.area_code}) {t}" for t in tail], self._phones)

    def _core(self, city: str) -> str:
        rng = self._rng
        match rng.randrange(8):
            case 0 | 1 | 2:
                first, second = rng.choice(_FIRST), rng.choice(_SECOND)
                return f"{first} {second}" if rng.random() < 0.7 else f"{first}{second.lower()}"
            case 3 | 4:
                return rng.choice(SURNAMES)
            case 5:
                return " & ".join(rng.sample(SURNAMES, 2))
            case 6:
                return rng.choice(_INVENTED)
            case _:
                return f"{rng.choice(_FIRST)} {city}" if rng.random() < 0.5 else f"{city} {rng.choice(_SECOND)}"

    @staticmethod
    def _first_free(options: list[str], taken: set[str]) -> str:
        for option in options:
            if option not in taken:
                taken.add(option)
                return option
        raise ValueError(f"every variant of {options[0]!r} is taken; the pools are too small for this world")
