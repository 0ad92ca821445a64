"""Names, profiles and reachability of a person."""

import pytest

from domain.contact.person import Person, clean_linkedin, clean_name, is_named_person
from domain.evidence import Evidence

PROOF = Evidence(result_id="r1", url="https://acme.example/team", quote="words")


@pytest.mark.parametrize("name", ["Jane Doe", "Mary-Ann O'Neil", "José Núñez", "J. R. Smith", "Doe, Jane", "Li Wei"])
def test_person_has_a_name_of_two_or_more_words(name: str) -> None:
    assert is_named_person(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "Jane", "Name Not Published", "Coming Soon", "Team Member", "Our Staff", "Property Manager", "TBD TBA",
        "Office Manager", "Acme 2 Team", "Vacant Position", "N/A N/A", "- -", "— Doe", "jane@acme.com Doe",
        "https://acme.com Doe", "<b>Jane Doe</b>", "one two three four five six seven", "X " + "y" * 90,
        "Leasing Department", "Jane Doe 3rd", "=cmd Doe",
    ],
)  # fmt: skip
def test_placeholder_is_not_a_person(name: str) -> None:
    assert not is_named_person(name)


def test_name_loses_honorifics_and_invisible_marks() -> None:
    assert clean_name(" Dr.  Jane\u200b\u202e   Doe\n") == "Jane Doe"
    assert clean_name("Mr Smith") == "Smith"
    assert clean_name("Drew Missal") == "Drew Missal"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://www.linkedin.com/in/jane-doe", True),
        ("https://linkedin.com/in/jane-doe/", True),
        ("http://uk.linkedin.com/in/jane", True),
        ("https://www.linkedin.com/company/acme", False),
        ("https://www.linkedin.com/in/", False),
        ("https://www.linkedin.com/in/jane/details", False),
        ("https://evil-linkedin.com/in/jane", False),
        ("https://linkedin.com.evil.com/in/jane", False),
        ("linkedin.com/in/jane", False),
        (None, False),
    ],
)
def test_only_a_personal_linkedin_profile_counts(url: str | None, kept: bool) -> None:
    assert clean_linkedin(url) == (url if kept else None)


def test_reachable_by_email_or_linkedin() -> None:
    def reachable(**channels: str) -> bool:
        return Person(full_name="Jane Doe", title="Owner", evidence=PROOF, **channels).is_reachable

    assert reachable(email="jane@acme.com") and reachable(linkedin_url="https://linkedin.com/in/jane")
    assert not reachable() and not reachable(phone="+15125550100"), "the contacts file has no phone column"
