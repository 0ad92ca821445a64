"""States, cities, ZIP codes, distances and addresses in page text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.places import (
    Place,
    addresses_in,
    cities_of_state,
    cities_within,
    miles_between,
    normalized_city,
    state_code,
    state_names,
    states_by_population,
    zip_coordinates,
    zip_place,
)

POINTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_there_are_50_states_and_dc() -> None:
    assert len(state_names()) == 51
    assert state_names()["DC"] == "District of Columbia"


@pytest.mark.parametrize("code", ["TX", "OK", "DC", "WV", "NM"])
def test_state_is_found_by_code_or_name_in_any_case(code: str) -> None:
    for text in (code, code.lower(), state_names()[code], state_names()[code].upper(), f" {state_names()[code]} "):
        assert state_code(text) == code
    assert state_code("D.C.") == "DC"


@pytest.mark.parametrize("text", ["", "NA", "ZZ", "Tex", "Texsas", "TX 78701", "United States"])
def test_unknown_state_is_none(text: str) -> None:
    assert state_code(text) is None


@pytest.mark.parametrize(
    ("one", "other"), [("St. Louis", "Saint Louis"), ("ST LOUIS", "st.  louis"), ("Austin", " austin ")]
)
def test_city_spellings_are_normalized(one: str, other: str) -> None:
    assert normalized_city(one) == normalized_city(other)


def test_st_means_saint_only_at_the_start() -> None:
    assert normalized_city("East St. Louis") == "east st louis"
    assert normalized_city("Stockton") == "stockton"


def test_cities_of_a_state_are_ordered_by_size() -> None:
    cities = cities_of_state("TX")
    assert cities[0].name == "Houston"
    assert [city.population for city in cities] == sorted((city.population for city in cities), reverse=True)
    assert {city.state for city in cities} == {"TX"}
    assert min(city.population for city in cities) >= 15_000


def test_states_are_ordered_by_size() -> None:
    assert states_by_population()[0] == "CA" and "TX" in states_by_population()[:3]
    assert set(states_by_population()) == set(state_names())


def test_zip_code_has_a_place_and_coordinates() -> None:
    assert zip_place("78701") == Place(city="Austin", state="TX", zip="78701")
    position = zip_coordinates("78701")
    assert position is not None and miles_between(position, (30.27, -97.74)) < 3


@pytest.mark.parametrize("text", ["00000", "7870", "787011", "abcde", "", "78701-1234", " 78701"])
def test_unknown_zip_code_has_no_place(text: str) -> None:
    assert zip_place(text) is None and zip_coordinates(text) is None


def test_distance_from_austin_to_dallas() -> None:
    assert miles_between((30.2672, -97.7431), (32.7767, -96.7970)) == pytest.approx(182, abs=3)  # Austin to Dallas


@settings(deadline=None)
@given(POINTS, POINTS)
def test_distance_is_symmetric_and_bounded(one: tuple[float, float], other: tuple[float, float]) -> None:
    miles = miles_between(one, other)
    assert miles == pytest.approx(miles_between(other, one), abs=1e-6)
    assert 0 <= miles <= 12_450
    assert miles_between(one, one) == pytest.approx(0, abs=1e-6)


def test_cities_within_a_radius() -> None:
    near, wide = cities_within("78701", 10), cities_within("78701", 60)
    names = {city.name for city in wide}
    assert {"Austin", "Round Rock", "San Marcos"} <= names and "Dallas" not in names
    assert {city.name for city in near} < names
    assert cities_within("00000", 100) == ()


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("100 Main St Austin, TX 78701", Place(city="Austin", state="TX", zip="78701"), "Main St Austin, TX 78701"),
        ("El Paso TX 79901", Place(city="El Paso", state="TX", zip="79901"), "El Paso TX 79901"),
        (
            "Suite 5, St. Louis, Missouri 63101-1234.",
            Place(city="Saint Louis", state="MO", zip="63101"),
            "St. Louis, Missouri 63101-1234",
        ),
    ],
)
def test_address_gives_its_place_and_printed_words(text: str, place: Place, words: str) -> None:
    assert addresses_in(text) == ((place, words),)
    assert words in text


@pytest.mark.parametrize(
    "text",
    [
        "We love Austin, TX and all of Texas.",
        "Austin 78701",
        "Order no. 78701",
        "Austin, TX 10001",  # a ZIP code of New York
        "austin, tx 78701",
        "Austin, TX 787015",
    ],
)
def test_city_mention_is_not_an_address(text: str) -> None:
    assert addresses_in(text) == ()


def test_addresses_are_distinct_and_in_page_order() -> None:
    text = "Tulsa, OK 74103\nAustin, TX 78701\nFooter: Austin, Texas 78701"
    assert [place.city for place, _ in addresses_in(text)] == ["Tulsa", "Austin"]
