"""Where to look: disjoint tasks, cheapest kind first, only the asked places."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.places import cities_of_state, cities_within, state_names, states_by_population
from domain.request.criteria import parse_criteria
from domain.request.search_plan import (
    MARGINAL_YIELD_MIN,
    YIELD_WINDOW,
    SearchTask,
    StoredCandidates,
    TaskKind,
    is_exhausted,
    plan_search,
)

EXCLUDED_BY_ICP = re.compile(
    r"\b(hoa|homeowners?|condo\w*|multi-?family|apartments?|commercial|vacation|short.term|airbnb|brokers?|brokerage"
    r"|realtors?|real estate agents?)\b",
    re.IGNORECASE,
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "states": st.lists(st.sampled_from(["TX", "OK", "DC", "WY"]), min_size=1, max_size=3, unique=True),
        "cities": st.lists(st.sampled_from(["Austin", "Tulsa", "Springfield"]), min_size=1, max_size=3, unique=True),
        "zip": st.just("78701"),
        "pms": st.lists(st.sampled_from(["Buildium", "AppFolio"]), min_size=1, unique=True),
        "keywords": st.just(["residential"]),
        "exclude_keywords": st.just(["storage"]),
    },
)


def plan(raw: dict[str, Any]) -> tuple[SearchTask, ...]:
    return plan_search(parse_criteria(raw).criteria)


@given(ASKED)
@settings(max_examples=40, deadline=None)
def test_tasks_are_disjoint_ordered_and_stable(raw: dict[str, Any]) -> None:
    tasks = plan(raw)
    assert tasks == plan(raw)
    assert [task.ordinal for task in tasks] == list(range(len(tasks)))
    assert len({task.unique_hash for task in tasks}) == len(tasks)
    assert len({" ".join(task.query.lower().split()) for task in tasks}) == len(tasks)


@given(ASKED)
@settings(max_examples=40, deadline=None)
def test_no_query_names_what_the_profile_excludes(raw: dict[str, Any]) -> None:
    assert not [task.query for task in plan(raw) if EXCLUDED_BY_ICP.search(task.query)]


def test_the_same_query_in_another_spelling_is_the_same_search() -> None:
    twice = plan({"cities": ["Austin", "austin", "Tulsa"]})
    assert twice == plan({"cities": ["Austin", "Tulsa"]})


def test_an_amended_request_repeats_no_search_it_has_done() -> None:
    before, after = plan({"state": "TX"}), plan({"states": ["TX", "OK"]})
    by_hash = {task.unique_hash: task.query for task in after}
    assert all(by_hash.get(task.unique_hash) == task.query for task in before)
    assert len(after) > len(before)


def test_states_come_first_then_cities_by_size() -> None:
    tasks = plan({"state": "TX"})
    state_wide = [task for task in tasks if task.city is None]
    assert tasks[: len(state_wide)] == tuple(state_wide)
    assert {task.kind for task in state_wide} == {"directory_pages"}
    cities = list(dict.fromkeys(task.city for task in tasks if task.city))
    assert cities == [city.name for city in cities_of_state("TX")[: len(cities)]]


@given(ASKED)
@settings(max_examples=30, deadline=None)
def test_directory_pages_come_first_in_every_place(raw: dict[str, Any]) -> None:
    of_place: dict[tuple[str | None, str | None], list[str]] = {}
    for task in plan(raw):
        of_place.setdefault((task.city, task.state), []).append(task.kind)
    for kinds in of_place.values():
        assert kinds[0] == "directory_pages" and kinds == sorted(
            kinds, key=["directory_pages", "individual", "software"].index
        )


def test_cities_of_several_states_are_ordered_by_size() -> None:
    cities = [task.city for task in plan({"states": ["OK", "TX"]}) if task.city]
    assert cities.index("Houston") < cities.index("Oklahoma City") < cities.index("Lubbock")


@pytest.mark.parametrize("states", [["TX"], ["TX", "OK"]])
def test_only_the_asked_states_are_searched(states: list[str]) -> None:
    tasks = plan({"states": states})
    assert {task.state for task in tasks} == set(states)
    named = {name for name in state_names().values() if any(name in task.query for task in tasks if task.city is None)}
    assert named == {state_names()[code] for code in states}


def test_only_the_asked_cities_are_searched() -> None:
    tasks = plan({"cities": ["Austin", "Dallas"], "state": "TX"})
    assert {(task.city, task.state) for task in tasks} == {("Austin", "TX"), ("Dallas", "TX")}
    assert all(task.city and task.city in task.query and "TX" in task.query for task in tasks)


def test_a_city_without_a_state_is_not_given_one() -> None:
    tasks = plan({"city": "Austin", "pms": "Buildium"})
    assert {(task.city, task.state) for task in tasks} == {("Austin", None)}
    assert [task.query for task in tasks] == [
        "list of property management companies in Austin",
        "property management Austin",
        "Buildium property management Austin",
    ]


def test_a_zip_means_its_city_or_those_in_the_radius() -> None:
    assert {(task.city, task.state) for task in plan({"zip": "78701"})} == {("Austin", "TX")}
    around = {(task.city, task.state) for task in plan({"zip": "78701", "radius_miles": 30})}
    assert around == {(city.name, city.state) for city in cities_within("78701", 30)}


def test_a_state_beside_a_zip_bounds_its_radius() -> None:
    texarkana = {"zip": "75501", "radius_miles": 60}
    assert {task.state for task in plan(texarkana)} > {"TX"}
    assert {task.state for task in plan({**texarkana, "state": "TX"})} == {"TX"}
    assert plan({"zip": "78701", "state": "OK"}) == ()


def test_without_a_place_the_most_populous_states_are_searched() -> None:
    tasks = plan({})
    assert list(dict.fromkeys(task.state for task in tasks if task.city is None)) == list(states_by_population()[:10])


def test_only_the_asked_software_is_searched_for() -> None:
    tasks = plan({"state": "DC", "pms": ["Buildium"], "pms_exclude": ["Yardi"]})
    places = {(task.city, task.state) for task in tasks}
    assert {(task.city, task.state) for task in tasks if "Buildium" in task.query} == places
    assert not [task for task in tasks if "Yardi" in task.query or "AppFolio" in task.query]


def test_keywords_are_added_to_every_query() -> None:
    tasks = plan({"city": "Austin", "keywords": ["residential"], "exclude_keywords": ["storage", "student housing"]})
    assert all(task.query.endswith(' residential -storage -"student housing"') for task in tasks)


def test_notes_and_suppressed_domains_stay_private() -> None:
    tasks = plan({"city": "Austin", "notes": "secretword", "suppress_domains": ["secretword.com"]})
    assert not [task for task in tasks if "secretword" in task.query]


@pytest.mark.parametrize(
    ("stored", "first"),
    [
        (StoredCandidates(), ["directory_pages"]),
        (StoredCandidates(seeds=3), ["seeds", "directory_pages"]),
        (StoredCandidates(known_companies=9), ["known_companies", "directory_pages"]),
        (StoredCandidates(seeds=1, known_companies=1), ["seeds", "known_companies", "directory_pages"]),
    ],
    ids=["nothing", "seeds", "known", "both"],
)
def test_stored_candidates_come_before_any_search(stored: StoredCandidates, first: list[TaskKind]) -> None:
    tasks = plan_search(parse_criteria({"pms": "Buildium", "state": "TX"}).criteria, stored)
    assert [task.kind for task in tasks[: len(first)]] == first


def test_without_software_in_the_request_no_search_names_one() -> None:
    assert {task.kind for task in plan({"state": "TX"})} == {"directory_pages", "individual"}
    assert "software" in {task.kind for task in plan({"state": "TX", "pms": "Buildium"})}


@given(st.lists(st.integers(0, 3), max_size=40))
def test_only_the_latest_searches_exhaust_a_kind(new: list[int]) -> None:
    assert is_exhausted(new) == is_exhausted(new[-YIELD_WINDOW:])
    assert not is_exhausted([*new, YIELD_WINDOW])


def test_a_window_below_the_bound_exhausts_a_kind() -> None:
    assert not is_exhausted([0] * (YIELD_WINDOW - 1)), "too few to tell"
    assert is_exhausted([5] * 20 + [0] * YIELD_WINDOW)
    enough = -(-MARGINAL_YIELD_MIN * YIELD_WINDOW // 1)
    assert not is_exhausted([0] * (YIELD_WINDOW - 1) + [int(enough)])
