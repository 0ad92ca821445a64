"""States, cities, ZIP codes, distances, and addresses found in page text. Unknown stays unknown (LESSONS F58, F78)."""

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


def test_there_are_fifty_states_and_the_district() -> None:
    assert len(state_names()) == 51
    assert state_names()["DC"] == "District of Columbia"


@pytest.mark.parametrize("code", ["TX", "OK", "DC", "WV", "NM"])
def test_a_state_is_known_by_code_and_name_in_any_case(code: str) -> None:
    for text in (code, code.lower(), state_names()[code], state_names()[code].upper(), f" {state_names()[code]} "):
        assert state_code(text) == code


@pytest.mark.parametrize("text", ["", "NA", "ZZ", "Tex", "Texsas", "TX 78701", "United States"])
def test_f78_what_is_no_state_is_none(text: str) -> None:
    assert state_code(text) is None


def test_d_c_is_a_spelling_of_dc() -> None:
    assert state_code("D.C.") == "DC"


@pytest.mark.parametrize(
    ("one", "other"), [("St. Louis", "Saint Louis"), ("ST LOUIS", "st.  louis"), ("Austin", " austin ")]
)
def test_a_city_has_one_comparable_form(one: str, other: str) -> None:
    assert normalized_city(one) == normalized_city(other)


def test_st_is_only_saint_at_the_beginning() -> None:
    assert normalized_city("East St. Louis") == "east st louis"
    assert normalized_city("Stockton") == "stockton"


def test_cities_of_a_state_come_largest_first() -> None:
    cities = cities_of_state("TX")
    assert cities[0].name == "Houston"
    assert [city.population for city in cities] == sorted((city.population for city in cities), reverse=True)
    assert {city.state for city in cities} == {"TX"}
    assert min(city.population for city in cities) >= 15_000


def test_states_come_largest_first() -> None:
    assert states_by_population()[0] == "CA" and "TX" in states_by_population()[:3]
    assert set(states_by_population()) == set(state_names())


def test_a_zip_code_has_a_place_and_a_position() -> None:
    assert zip_place("78701") == Place(city="Austin", state="TX", zip="78701")
    position = zip_coordinates("78701")
    assert position is not None and miles_between(position, (30.27, -97.74)) < 3


@pytest.mark.parametrize("text", ["00000", "7870", "787011", "abcde", "", "78701-1234", " 78701"])
def test_what_is_no_zip_code_is_nowhere(text: str) -> None:
    assert zip_place(text) is None and zip_coordinates(text) is None


def test_a_known_distance() -> None:
    assert miles_between((30.2672, -97.7431), (32.7767, -96.7970)) == pytest.approx(182, abs=3)  # Austin to Dallas


@settings(deadline=None)
@given(POINTS, POINTS)
def test_distance_is_symmetric_never_negative_and_at_most_half_way_round(
    one: tuple[float, float], other: tuple[float, float]
) -> None:
    miles = miles_between(one, other)
    assert miles == pytest.approx(miles_between(other, one), abs=1e-6)
    assert 0 <= miles <= 12_450
    assert miles_between(one, one) == pytest.approx(0, abs=1e-6)


def test_cities_within_a_radius_are_within_it_and_grow_with_it() -> None:
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
def test_an_address_gives_its_place_and_the_words_it_stands_on(text: str, place: Place, words: str) -> None:
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
def test_f58_a_mention_is_no_address(text: str) -> None:
    assert addresses_in(text) == ()


def test_each_address_counts_once_in_page_order() -> None:
    text = "Tulsa, OK 74103\nAustin, TX 78701\nFooter: Austin, Texas 78701"
    assert [place.city for place, _ in addresses_in(text)] == ["Tulsa", "Austin"]
