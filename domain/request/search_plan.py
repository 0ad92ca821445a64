"""Plan where a run searches, by expanding its criteria into distinct search tasks.

A task queries one source about one place. No query repeats within a run, or looks for companies that the ideal customer
profile excludes. The run works through the plan until its target is reached, and skips exhausted kinds.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

from domain.company.places import (
    City,
    Place,
    cities_of_state,
    cities_within,
    state_names,
    states_by_population,
    zip_place,
)
from domain.frozen_model import FrozenModel
from domain.request.criteria import Criteria

# Cheapest first: imported accounts, companies proven by earlier runs, directory pages, searches for companies in a place,
# and searches that name the software.
TaskKind = Literal["seeds", "known_companies", "directory_pages", "individual", "software"]
WITHOUT_MODEL: frozenset[TaskKind] = frozenset({"seeds", "known_companies"})

# A kind of search is exhausted if its last 12 searches found fewer than 0.1 new companies each on average. At $0.01 a
# search, a new company then costs over $0.10 before any research, so a person should decide.
YIELD_WINDOW = 12
MARGINAL_YIELD_MIN = 0.1

# Smaller cities add few companies. The smallest in the data set have 15,000 people.
_CITIES_PER_STATE_MAX = 80
_STATES_WITHOUT_PLACE = 10

_STATE_DIRECTORY_QUERIES = (
    "list of property management companies in {state_name}",
    "best property management companies in {state_name}",
    "{state_name} residential property managers association member directory",
)
_CITY_DIRECTORY_QUERY = "list of property management companies in {city}, {state}"
_CITY_QUERY = "property management {city} {state}"


def is_exhausted(new_per_search: Sequence[int]) -> bool:
    """Whether a kind of search finds too little. Counts are new companies per search, latest last."""
    window = new_per_search[-YIELD_WINDOW:]
    return len(window) == YIELD_WINDOW and sum(window) < MARGINAL_YIELD_MIN * YIELD_WINDOW


class StoredCandidates(FrozenModel):
    """Number of stored companies that match the requested software and place."""

    seeds: int = 0
    known_companies: int = 0


class SearchTask(FrozenModel):
    """One query for one place. For kinds without a model, ``query`` is only a description.

    Companies of tasks with a lower ``ordinal`` are selected first.
    """

    ordinal: int
    kind: TaskKind
    query: str
    city: str | None
    state: str | None
    unique_hash: str


def plan_search(criteria: Criteria, stored: StoredCandidates = StoredCandidates()) -> tuple[SearchTask, ...]:  # noqa: B008  # frozen
    """Return all search tasks for the criteria, in order.

    Stored candidates come first, then statewide searches. Then each city follows, largest first, with its directory pages,
    an individual search and its software searches.
    """
    tasks: dict[str, SearchTask] = {}
    for kind, query, city, state in (*_stored(criteria, stored), *_queries(criteria)):
        digest = hashlib.sha256(" ".join(query.lower().split()).encode()).hexdigest()[:16]
        if digest not in tasks:
            tasks[digest] = SearchTask(
                ordinal=len(tasks), kind=kind, query=query, city=city, state=state, unique_hash=digest
            )
    return tuple(tasks.values())


def _queries(criteria: Criteria) -> Iterator[tuple[TaskKind, str, str | None, str | None]]:
    hint = "".join(
        [*(f" {word}" for word in criteria.keywords), *(f" -{_phrase(word)}" for word in criteria.exclude_keywords)]
    )
    names = state_names()
    if criteria.cities:
        places = [Place(city=city, state=state) for state in criteria.states or (None,) for city in criteria.cities]
    elif criteria.zip:
        places = _places_around(criteria)
    else:
        states = criteria.states or states_by_population()[:_STATES_WITHOUT_PLACE]
        for state in states:
            for template in _STATE_DIRECTORY_QUERIES:
                yield "directory_pages", template.format(state_name=names[state]) + hint, None, state
            for vendor in criteria.pms:
                query = f"{vendor.value} property management companies {names[state]}"
                yield "software", query + hint, None, state
        places = [_place(city) for city in _largest_first(states)]
    for place in places:
        yield "directory_pages", _filled(_CITY_DIRECTORY_QUERY, place) + hint, place.city, place.state
        yield "individual", _filled(_CITY_QUERY, place) + hint, place.city, place.state
        for vendor in criteria.pms:
            query = f"{vendor.value} property management {place.city} {place.state or ''}".rstrip()
            yield "software", query + hint, place.city, place.state


def _stored(criteria: Criteria, stored: StoredCandidates) -> Iterator[tuple[TaskKind, str, str | None, str | None]]:
    vendors = " or ".join(vendor.value for vendor in criteria.pms) or "any software"
    place = ", ".join((*criteria.cities, *criteria.states)) or criteria.zip or "anywhere"
    if stored.seeds:
        yield "seeds", f"imported accounts: {vendors}, {place}", None, None
    if stored.known_companies:
        yield "known_companies", f"companies proven by earlier runs: {vendors}, {place}", None, None


def _phrase(words: str) -> str:
    return f'"{words}"' if " " in words else words  # a minus sign excludes one word or quoted phrase


def _filled(template: str, place: Place) -> str:
    return template.format(city=place.city, state=place.state or "").strip().rstrip(",")


def _place(city: City) -> Place:
    return Place(city=city.name, state=city.state)


def _largest_first(states: tuple[str, ...]) -> list[City]:
    cities = [city for state in states for city in cities_of_state(state)[:_CITIES_PER_STATE_MAX]]
    return sorted(cities, key=lambda city: (-city.population, city.name, city.state))


def _places_around(criteria: Criteria) -> list[Place]:
    center = zip_place(criteria.zip or "")
    near = [_place(city) for city in cities_within(criteria.zip or "", criteria.radius_miles or 0.0)]
    if center is not None and all((place.city, place.state) != (center.city, center.state) for place in near):
        near.insert(0, Place(city=center.city, state=center.state))
    return [place for place in near if not criteria.states or place.state in criteria.states]
