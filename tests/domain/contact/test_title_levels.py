"""Job titles are ranked by level, seniority and department."""

import pytest

from domain.contact.title_levels import TitleLevel, rank_title

TITLES = {
    TitleLevel.OWNER: [
        "Owner", "Co-Owner", "Broker/Owner", "Owner / Broker", "Designated Broker", "Managing Broker", "President",
        "Principal", "CEO", "COO", "Chief Executive Officer", "Chief Operating Officer", "Managing Partner",
        "President & CEO", "OWNER",
    ],
    TitleLevel.DIRECTOR: [
        "Director of Property Management", "VP Operations", "VP of Operations", "Vice President of Operations",
        "Vice President, Operations", "Associate Broker", "Portfolio Manager", "Vice President",
    ],
    TitleLevel.OPERATIONS: ["Director of Operations", "Operations Manager", "Operations Director"],
    TitleLevel.MANAGER: ["Property Manager", "Senior Property Manager", "Leasing Manager", "Owner Relations Manager"],
    TitleLevel.OFFICE: ["Office Manager", "Business Development Manager", "Director of Business Development"],
    TitleLevel.MAINTENANCE: ["Maintenance Supervisor", "Director of Maintenance", "Facilities Manager"],
    TitleLevel.NONE: [
        "Real Estate Agent", "Leasing Agent", "Assistant Property Manager", "Executive Assistant to the President",
        "Bookkeeper", "Receptionist", "Property Owner", "Homeowner", "Resident", "Leasing Coordinator", "",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("level", "title"), [(level, title) for level, titles in TITLES.items() for title in titles])
def test_title_gives_the_level(level: TitleLevel, title: str) -> None:
    assert rank_title(title).level is level


@pytest.mark.parametrize(
    ("title", "seniority", "department"),
    [
        ("Owner", "owner", "leadership"),
        ("CEO", "executive", "leadership"),
        ("VP of Operations", "executive", "operations"),
        ("Director of Property Management", "director", "operations"),
        ("Property Manager", "manager", "operations"),
        ("Leasing Manager", "manager", "leasing"),
        ("Maintenance Supervisor", "manager", "maintenance"),
        ("Business Development Manager", "manager", "business_development"),
        ("Bookkeeper", "staff", "accounting"),
        ("Astronaut", "staff", "other"),
    ],
)
def test_title_gives_seniority_and_department(title: str, seniority: str, department: str) -> None:
    rank = rank_title(title)
    assert (rank.seniority, rank.department) == (seniority, department)
