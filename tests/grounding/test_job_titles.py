"""A title counts only as the person's own, as a whole, and in this company."""

import pytest

from tests.grounding.test_proximity import person, proven


def _accepted(words: str, title: str) -> bool:
    quote = f"Jane Roe, {words}"
    return bool(proven(person("Jane Roe", title, quote), text=f"# Our team\n{quote}\njane@acme.example")[0])


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("Vice President of Sales", "President"),
        ("Assistant Property Manager", "Property Manager"),
        ("Property Manager Assistant", "Property Manager"),
        ("former Owner", "Owner"),
        ("happy homeowner", "owner"),
    ],
)
def test_a_fragment_of_a_title_is_rejected(words: str, title: str) -> None:
    assert not _accepted(words, title)
    assert title == "owner" or _accepted(title, title)


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("Owner & Broker", "Owner"),
        ("Broker/Owner", "Owner"),
        ("Senior Property Manager", "Property Manager"),
        ("Vice President of Sales", "Vice President of Sales"),
        ("Owner and past President of NARPM Austin", "Owner"),
    ],
)
def test_a_whole_title_or_one_of_two_is_accepted(words: str, title: str) -> None:
    assert _accepted(words, title)


@pytest.mark.parametrize(
    "page",
    ["Owner: Jane Roe", "Meet our Owner, Jane Roe", "Owner\nJane Roe\n512-555-0100", "Jane Roe\n512-555-0100\nOwner"],
    ids=["before it", "in a sentence", "above it", "below it"],
)
def test_a_title_may_stand_before_the_name(page: str) -> None:
    assert proven(person("Jane Roe", "Owner", page), text=page)[1] == {}


def test_a_title_between_two_names_belongs_to_the_first() -> None:
    page = "Tom Kay\nOwner\nJane Roe\nTechnician"
    assert proven(person("Jane Roe", "Owner", page), text=page) == ({}, {"person:title_of_another": 1})


@pytest.mark.parametrize(
    "words",
    [
        "President, Birch Roofing", "President - Birch Roofing", "President @ Birch Roofing", "CEO of Birch Roofing",
        "Managing Broker of Birch Realty", "owner of birch roofing", "Owner of Birch Rental Roofing", "Owner at Bolt Realty",
        "President, Sparrow Title Co.", "President of Birch Property Management",
    ],
)  # fmt: skip
def test_a_title_at_another_firm_is_rejected(words: str) -> None:
    assert not _accepted(words, words)
    title = words.split(" of ")[0].split(",")[0].split(" - ")[0].split(" @")[0].split(" at ")[0]
    assert not _accepted(words, title), "nor the title alone"


@pytest.mark.parametrize(
    "words",
    [
        "Director of Resident Experience", "Director of Homeowner Relations", "Regional Manager of North Austin",
        "Founder of Meridian", "Owner of Blue Ridge", "Owner of Acme Homes", "CEO, Acme Homes, LLC", "Owner | Acme Realty",
        "President of Texas Operations", "Director of Property Management", "Owner, Licensed Real Estate Broker",
    ],
)  # fmt: skip
def test_departments_and_the_company_are_not_other_firms(words: str) -> None:
    assert _accepted(words, words)
