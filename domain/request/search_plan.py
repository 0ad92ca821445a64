"""Where to look: a run's criteria expanded into disjoint search tasks, cheapest kind first. Pure.

A task is one source asked about one place. No query repeats within a run, and none looks for what the ideal customer
profile excludes. The plan is an upper bound: the run works through it until the target is filled, largest cities first,
and skips exhausted kinds.
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

# Where companies come from, cheapest first: imported accounts, companies proven by earlier runs, pages that list many
# companies, searches for a place's companies, and searches that name the software.
TaskKind = Literal["seeds", "known_companies", "directory_pages", "individual", "software"]
WITHOUT_MODEL: frozenset[TaskKind] = frozenset({"seeds", "known_companies"})

# A kind of search is exhausted when its last 12 searches found fewer than 0.1 new companies each. At about $0.01 a search,
# such a company costs 10 cents before anything is known about it, so a person should decide.
YIELD_WINDOW = 12
MARGINAL_YIELD_MIN = 0.1

# Cities beyond this many per state add few companies (the data set's smallest cities have 15,000 people).
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
    """Whether a kind of search is exhausted, by the number of new companies of each search, latest last."""
    window = new_per_search[-YIELD_WINDOW:]
    return len(window) == YIELD_WINDOW and sum(window) < MARGINAL_YIELD_MIN * YIELD_WINDOW


class StoredCandidates(FrozenModel):
    """Number of stored companies that fit software and place, so need no search."""

    seeds: int = 0
    known_companies: int = 0


class SearchTask(FrozenModel):
    """One query for one place. Without a model, ``query`` only describes what is looked up.

    Attributes:
        ordinal: position in the plan. The selection prefers companies of earlier tasks.
        unique_hash: equal for equal queries.
    """

    ordinal: int
    kind: TaskKind
    query: str
    city: str | None
    state: str | None
    unique_hash: str


def plan_search(criteria: Criteria, stored: StoredCandidates = StoredCandidates()) -> tuple[SearchTask, ...]:  # noqa: B008  # frozen
    """All search tasks for the criteria, in order.

    Stored candidates come first, then directory pages of whole states. Then, for each city, largest first: its directory
    pages, its individual search and its search by software.
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
    return f'"{words}"' if " " in words else words  # a minus sign excludes one word, or one quoted phrase


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
