"""Criteria as a person reads them."""

from typing import Any

import pytest

from domain.request.criteria import parse_criteria
from domain.request.criteria_words import request_in_words


@pytest.mark.parametrize(
    ("criteria", "words"),
    [
        ({"pms": "Buildium", "state": "TX"}, "25 companies on Buildium in TX"),
        ({"pms": ["Buildium", "Yardi"], "states": ["WY", "OK"]}, "25 companies on Buildium or Yardi in WY or OK"),
        (
            {"zip": "80202", "radius_miles": 25, "pms_exclude": "AppFolio"},
            "25 companies not on AppFolio within 25 miles of 80202",
        ),
        ({"city": "Denver", "state": "CO"}, "25 companies in Denver, CO"),
        ({"state": "TX", "units_min": 50}, "25 companies in TX with at least 50 units"),
        (
            {"state": "TX", "units_min": 50, "units_max": 1500, "icp_tier_min": "B"},
            "25 companies in TX with 50 to 1,500 units preferably of tier B or better",
        ),
        (
            {"state": {"value": "TX", "mode": "soft"}, "keywords": ["hoa"], "notes": "call\nfirst"},
            "25 companies preferably in TX about hoa (call first)",
        ),
    ],
)
def test_in_words(criteria: dict[str, Any], words: str) -> None:
    assert request_in_words(25, parse_criteria(criteria).criteria) == words


def test_one_company_is_singular() -> None:
    assert request_in_words(1, parse_criteria({"state": "TX"}).criteria) == "1 company in TX"
