"""What a number in a quote counts."""

import pytest

from grounding.counts import counts_employees, counts_listings, counts_units


@pytest.mark.parametrize(
    ("quote", "value", "proves"),
    [
        ("We manage 450 doors", 450, True),
        ("over 1,200 rental homes under management", 1200, True),
        ("1240+ doors", 1240, True),
        ("(210 units)", 210, True),
        ("Units | 320", 320, True),
        ("Doors managed | 450", 450, True),
        ("Units under management: 1,240", 1240, True),
        ("Homes we manage are now over 1,500.", 1500, True),
        ("Units: 320 Employees: 25", 320, True),
        ("25 Employees 320 Units 140 Owners", 320, True),
        ("320 single-family homes and 40 condos", 320, True),
        ("1,240 professionally managed single-family rental homes", 1240, True),
        ("450 Dallas rental homes", 450, True),
        ("[1,240 homes](https://acme.example/homes) in Austin", 1240, True),
        ("our 450-door portfolio", 450, True),
        ("Today that means 1900 doors under management.", 1900, True),
        ("Since 1998, more than 2,000 properties", 2000, True),
        ("Last year we closed 3,210 work orders in our rental homes", 3210, False),
        ("25 years of property management experience", 25, False),
        ("500 five-star reviews from property owners", 500, False),
        ("properties in Dallas TX 75201", 75201, False),
        ("Dallas TX 75201 homes", 75201, False),
        ("Since 1998 our homes", 1998, False),
        ("Since 1998 homes in Austin", 1998, False),
        ("Founded in 1998, we love homes", 1998, False),
        ("2024 rental listings", 2024, False),
        ("1,500 square foot homes", 1500, False),
        ("3 bedroom homes", 3, False),
        ("$99 per month per property", 99, False),
        ("Homes from $1,450", 1450, False),
        ("24 hour tenant and property support", 24, False),
        ("300 property owners trust us to manage", 300, False),
        ("a 20-unit apartment building", 20, False),
        ("buildings of 80 units and more", 80, False),
        ("12 units per building", 12, False),
        ("95% of homes under management", 95, False),
        ("Call 512-555-0100 homes", 100, False),
        ("11,240 homes", 1240, False),
        ("100-150 homes", 150, False),
        ("We sold 120 homes last year", 120, False),
        ("36 homes for rent", 36, False),
        ("Employees 25 Units 320", 25, False),
        ("Employees: 25 Units: 320", 25, False),
    ],
)
def test_only_homes_under_management_are_units(quote: str, value: int, proves: bool) -> None:
    assert counts_units(quote, value) is proves


@pytest.mark.parametrize(
    ("quote", "value", "proves"),
    [
        ("# 36 homes available now", 36, True),
        ("36 rentals today", 36, True),
        ("Available homes: 36", 36, True),
        ("Listings (36)", 36, True),
        ("We manage 450 homes today", 450, False),
        ("We manage 450 rentals", 450, False),
        ("25 years of property management experience", 25, False),
        ("500 reviews of our listings", 500, False),
    ],
)
def test_only_homes_on_offer_are_listings(quote: str, value: int, proves: bool) -> None:
    assert counts_listings(quote, value) is proves


@pytest.mark.parametrize(
    ("quote", "value", "proves"),
    [
        ("a team of 25", 25, True),
        ("A team of 12 works out of our Austin office.", 12, True),
        ("a team of over 40 specialists", 40, True),
        ("25 employees", 25, True),
        ("Employees | 25", 25, True),
        ("Employees: 25 Units: 320", 25, True),
        ("25+ team members", 25, True),
        ("our 25-person team", 25, True),
        ("There are 17 of us, and you will meet most of us.", 17, True),
        ("Our team has over 60 combined years", 60, False),
        ("Our team of 60 combined years of experience", 60, False),
        ("24 hour support staff", 24, False),
        ("Since 1998 our team", 1998, False),
        ("We have helped 500 people", 500, False),
        ("1,200 happy clients and our team", 1200, False),
    ],
)
def test_only_people_who_work_there_are_employees(quote: str, value: int, proves: bool) -> None:
    assert counts_employees(quote, value) is proves
