"""When two companies are the same one (DOMAIN, "Identity"; LESSONS F75)."""

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
def test_f75_names_alike_after_stripping_legal_suffixes_are_one_company(first: str, second: str) -> None:
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
def test_other_names_are_other_companies_and_a_bare_suffix_is_no_name(first: str, second: str) -> None:
    assert not same_name(first, second)


@pytest.mark.parametrize("suffix", ["LLC", "L.L.C.", "Inc", "Inc.", "Corp.", "Ltd", "LP", "LLP", "PLLC", "P.C.", "Co."])
def test_a_legal_suffix_says_nothing(suffix: str) -> None:
    assert normalized_company_name(f"Acme Homes, {suffix}") == normalized_company_name("Acme Homes") == "acme homes"


def test_letters_of_a_suffix_inside_a_word_stay() -> None:
    assert normalized_company_name("Incline Colony Homes") == "incline colony homes"


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_comparing_is_stable_and_reflexive(name: str) -> None:
    once = normalized_company_name(name)
    assert normalized_company_name(name.upper()) == normalized_company_name(name.lower())
    assert same_name(name, name) == bool(once)


def test_a_company_known_by_name_and_place_alone_has_a_stable_key() -> None:
    assert name_key("Acme, LLC", "St. Louis", "MO") == name_key("ACME", "Saint Louis", "MO")
    assert name_key("Acme", "Austin", "TX") != name_key("Acme", "Dallas", "TX")
    assert name_key("Acme", None, None) != name_key("Acme", "Austin", "TX")


@pytest.mark.parametrize(
    "text", ["(512) 555-0100", "512-555-0100", "512.555.0100", "+1 512 555 0100", "1-512-555-0100", "512 555 0100 x12"]
)
def test_a_phone_number_has_one_form(text: str) -> None:
    assert normalized_phone(text) == "+15125550100"


@pytest.mark.parametrize("text", [None, "", "call us", "911", "512", "555-0100", "5550100", "1" * 20])
def test_what_is_no_whole_number_identifies_nobody(text: str | None) -> None:
    assert normalized_phone(text) is None


def test_every_number_of_a_page_is_found_once_in_order() -> None:
    page = "Call (512) 555-0100 or 512.555.0101. Fax: 1-512-555-0102. Again +1 (512) 555-0100."
    assert phones_in(page) == ("+15125550100", "+15125550101", "+15125550102")


@pytest.mark.parametrize(
    "text", ["No. 1234-512-555-01009", "2024-11-05", "ZIP 78701-1234", "5125550100", "12 555-0100"]
)
def test_other_figures_are_no_phone_numbers(text: str) -> None:
    assert phones_in(text) == ()


def test_each_domain_account_and_phone_is_a_claim_of_its_own() -> None:
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


@settings(deadline=None)
@given(st.lists(st.sampled_from(["acme.com", "acme.net", "+15125550100"]), unique=True))
def test_no_value_is_claimed_under_two_kinds(values: list[str]) -> None:
    keys = IdentityKeys(domains=tuple(values), phones=tuple(values), name="Acme")
    assert len(set(keys.claims())) == 2 * len(values)
