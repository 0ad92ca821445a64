"""Whether a quote states a type, that a company manages or not, or that it has closed."""

import pytest

from domain.company.facts import CompanyType
from grounding.company_type import says_closed, says_manages, says_type


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
        ("[Home](https://acme.example/)", set()),
        ("Welcome home", set()),
        ("We manage your home like our own.", {"single_family"}),
        ("Rental homes in Austin", {"single_family"}),
        ("Our offices in Austin and Dallas", set()),
        ("Medical offices and office buildings", {"commercial"}),
        ("Member of several associations", set()),
        ("Homeowner and condominium associations", {"hoa"}),
        ("We manage associations in Austin.", {"hoa"}),
        ("Austin Board of Realtors", set()),
        ("Free parking", set()),
        ("Self-storage and mobile home parks", {"other"}),
        ("Take a vacation from landlording", set()),
        ("Vacation rentals", {"vacation_rental"}),
        ("Short-term rentals", {"vacation_rental"}),
        # only sounds like a denial
        ("Never worry about your single-family rental again", {"single_family"}),
        ("Why not let us manage your house", {"single_family"}),
        ("Own rental homes without the hassle", {"single_family"}),
        ("No hassle, no stress single-family management", {"single_family"}),
        # a denial ends with its list
        ("We do not manage apartments, HOAs or commercial property.", set()),
        ("We manage apartments, not single-family homes, HOAs, or medical offices.", {"multifamily"}),
        ("We manage houses but no apartments, condos, or duplexes.", {"single_family"}),
        ("All residential property except HOAs, condos and shopping centers", set()),
        ("We do not manage HOAs, condos or apartments, but we manage houses.", {"single_family"}),
        ("We do not manage HOAs, and single-family homes are all we do.", {"single_family"}),
        ("We do not take on HOAs, we manage houses.", {"single_family"}),
        ("No setup fee, single-family homes only", {"single_family"}),
        ("We manage nothing but single-family homes.", {"single_family"}),
        ("We do not manage anything except single-family homes.", {"single_family"}),
    ],
)
def test_a_quote_states_the_types_it_names_and_affirms(quote: str, said: set[str]) -> None:
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
        ("Our property management clients refer us to their friends.", True, False),
        ("We gladly refer owners to another property management company.", True, True),
        ("No property management fees until it is rented", False, False),
        ("Not only sales, also property management", True, False),
        ("Sales only.", False, True),
    ],
)
def test_managing_and_not_managing_must_be_stated(quote: str, manages: bool, does_not: bool) -> None:
    assert (says_manages(quote, True), says_manages(quote, False)) == (manages, does_not)


@pytest.mark.parametrize(
    ("quote", "closed"),
    [
        ("Acme has closed its doors.", True),
        ("Acme Homes has permanently closed.", True),
        ("We are no longer in business.", True),
        ("In May Acme merged into Bolt Realty.", True),
        ("We were acquired by Bolt Realty.", True),
        ("Acme ceased operations in 2021.", True),
        ("We have closed in 2023.", True),
        ("Acme went out of business.", True),
        ("We are closed on Sundays.", False),
        ("We have closed 400 sales.", False),
        ("Our office closes at 5.", False),
        ("We closed 3,412 work orders.", False),
        ("In 2010 we merged with Smith Realty; today we manage homes.", False),
        ("In 2010 we merged into Smith Realty; today we manage homes.", False),
        ("We have never been out of business.", False),
        ("Many firms went out of business in 2008.", False),
        ("The building was acquired by our client.", False),
        ("Acme is now part of the Austin Chamber of Commerce.", False),
        ("We have closed in 2023 more than 400 sales.", False),
        ("We have ceased charging setup fees.", False),
        ("Our Dallas office has closed.", False),
        ("We no longer operate a call center.", False),
    ],
)
def test_only_the_companys_own_end_is_closed(quote: str, closed: bool) -> None:
    assert says_closed(quote) is closed
