"""A quote proves a type, that a company manages or does not, or that it has closed, only when it says so."""

import pytest

from agents.type_words import says_closed, says_manages, says_type
from domain.company import CompanyType
from local.demo.prose import PORTFOLIOS

TYPES = [each for each in CompanyType if each is not CompanyType.UNKNOWN]


@pytest.mark.parametrize("company_type", [each for each in TYPES if each is not CompanyType.OTHER])
def test_every_way_the_demos_companies_word_their_type_is_understood(company_type: CompanyType) -> None:
    for sentence in next(worded for kind, worded in PORTFOLIOS.items() if kind == company_type):
        assert says_type(sentence, company_type), sentence


@pytest.mark.parametrize(
    ("quote", "said"),
    [
        ("We manage single-family rentals.", {"single_family"}),
        ("We manage single–family houses.", {"single_family"}),
        ("Homes and apartments.", {"single_family", "mixed_residential", "multifamily"}),
        ("Residential property management in Austin", set()),
        ("All types of residential property", {"mixed_residential"}),
        ("Apartment homes of distinction", {"multifamily"}),
        ("Boards of HOAs are our clients.", {"hoa"}),
        ("Homeowners' Association Management", {"hoa"}),
        ("We care for homeowners.", set()),
        ("Office and retail leasing", {"commercial"}),
        ("Visit our office.", set()),
        ("Stay by the night", {"vacation_rental"}),
        ("Real estate agents in Austin", {"brokerage"}),
        ("We manage apartments and no single-family homes.", {"multifamily"}),
        ("We don’t handle commercial property; we manage houses.", {"single_family"}),
        ("Not only houses, also apartments", {"single_family", "mixed_residential", "multifamily"}),
        ("[Call us](https://acme-houses.example/hoa)", set()),
        ("Call us today.", set()),
        ("", set()),
    ],
)
def test_a_quote_says_the_types_that_it_names_and_does_not_deny(quote: str, said: set[str]) -> None:
    assert {each.value for each in CompanyType if says_type(quote, each)} == said


@pytest.mark.parametrize(
    ("quote", "manages", "does_not"),
    [
        ("We manage homes for owners.", True, False),
        ("Full-service property management", True, False),
        ("We do not offer property management.", False, True),
        ("We no longer manage rental property.", False, True),
        ("For rental management we refer you to others.", True, True),
        ("We do not manage vacation rentals.", False, False),
        ("We do not manage.", False, True),
        ("Call us today.", False, False),
    ],
)
def test_f58_managing_and_not_managing_are_both_said_or_unknown(quote: str, manages: bool, does_not: bool) -> None:
    assert (says_manages(quote, True), says_manages(quote, False)) == (manages, does_not)


@pytest.mark.parametrize(
    ("quote", "closed"),
    [
        ("Acme has closed its doors.", True),
        ("Acme Homes has permanently closed.", True),
        ("We are no longer in business.", True),
        ("In May Acme merged with Bolt Realty.", True),
        ("Acme is now part of Bolt.", True),
        ("We are closed on Sundays.", False),
        ("We have closed 400 sales.", False),
        ("Our office closes at 5.", False),
        ("We closed 3,412 work orders.", False),
    ],
)
def test_only_the_companys_own_end_is_closed(quote: str, closed: bool) -> None:
    assert says_closed(quote) is closed
