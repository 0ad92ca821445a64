"""When two companies are the same one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.identity import (
    IdentityKeys,
    name_key,
    normalized_company_name,
    normalized_phone,
    phones_in,
    same_name,
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Acme Property Management, LLC", "ACME PROPERTY MANAGEMENT"),
        ("Acme Property Management Inc.", "Acme Property Management Co."),
        ("Acme Homes L.L.C.", "Acme Homes"),
        ("Smith & Sons Rentals", "Smith and Sons Rentals"),
        ("Café Homes", "Cafe Homes"),
        ("Acme Property Managment", "Acme Property Management"),
        ("Lone-Star Rentals", "Lone Star Rentals"),
    ],
)
def test_similar_names_mean_one_company(first: str, second: str) -> None:
    assert same_name(first, second) and same_name(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Acme Rentals", "Zenith Homes"),
        ("Bluebonnet Property Management", "Lone Star Property Management"),
        ("LLC", "Inc."),
        ("", ""),
    ],
)
def test_different_names_and_bare_suffixes_do_not_match(first: str, second: str) -> None:
    assert not same_name(first, second)


@pytest.mark.parametrize("suffix", ["LLC", "L.L.C.", "Inc", "Inc.", "Corp.", "Ltd", "LP", "LLP", "PLLC", "P.C.", "Co."])
def test_legal_suffix_is_dropped(suffix: str) -> None:
    assert normalized_company_name(f"Acme Homes, {suffix}") == normalized_company_name("Acme Homes") == "acme homes"


def test_suffix_letters_inside_a_word_stay() -> None:
    assert normalized_company_name("Incline Colony Homes") == "incline colony homes"


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_name_comparison_ignores_case_and_is_reflexive(name: str) -> None:
    once = normalized_company_name(name)
    assert normalized_company_name(name.upper()) == normalized_company_name(name.lower())
    assert same_name(name, name) == bool(once)


def test_name_key_depends_on_name_and_place() -> None:
    assert name_key("Acme, LLC", "St. Louis", "MO") == name_key("ACME", "Saint Louis", "MO")
    assert name_key("Acme", "Austin", "TX") != name_key("Acme", "Dallas", "TX")
    assert name_key("Acme", None, None) != name_key("Acme", "Austin", "TX")


@pytest.mark.parametrize(
    "text", ["(512) 555-0100", "512-555-0100", "512.555.0100", "+1 512 555 0100", "1-512-555-0100", "512 555 0100 x12"]
)
def test_phone_number_has_one_form(text: str) -> None:
    assert normalized_phone(text) == "+15125550100"


@pytest.mark.parametrize("text", [None, "", "call us", "911", "512", "555-0100", "5550100", "1" * 20])
def test_incomplete_phone_number_is_none(text: str | None) -> None:
    assert normalized_phone(text) is None


def test_phones_of_a_page_are_distinct_and_in_order() -> None:
    page = "Call (512) 555-0100 or 512.555.0101. Fax: 1-512-555-0102. Again +1 (512) 555-0100."
    assert phones_in(page) == ("+15125550100", "+15125550101", "+15125550102")


@pytest.mark.parametrize(
    "text", ["No. 1234-512-555-01009", "2024-11-05", "ZIP 78701-1234", "5125550100", "12 555-0100"]
)
def test_other_digits_are_not_phone_numbers(text: str) -> None:
    assert phones_in(text) == ()


def test_each_domain_account_and_phone_is_one_claim() -> None:
    keys = IdentityKeys(
        domains=("acme.com", "acme.net"),
        portal_accounts=("Buildium:acme",),
        phones=("+15125550100",),
        name="Acme",
        city="Austin",
    )
    assert keys.claims() == (
        ("domain", "acme.com"),
        ("domain", "acme.net"),
        ("portal", "Buildium:acme"),
        ("phone", "+15125550100"),
    )
    assert IdentityKeys(name="Acme").claims() == ()
