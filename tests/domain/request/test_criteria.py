"""Criteria are parsed into one typed model. Nothing is guessed or dropped: bad input says what was expected."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.facts import CompanyType, IcpTier
from domain.company.pms_vendors import PmsVendor
from domain.request.criteria import CRITERION_KEYS, KNOWN_KEYS, Criteria, CriteriaError, Mode, parse_criteria

EVERY_KEY: dict[str, Any] = {
    "pms": ["Buildium", "appfolio"],
    "pms_exclude": ["Yardi"],
    "states": ["TX", "oklahoma"],
    "cities": ["Austin", "Tulsa"],
    "zip": "78701",
    "radius_miles": 25,
    "units_min": 50,
    "units_max": 1000,
    "company_types": ["single_family", "mixed_residential"],
    "icp_tier_min": "B",
    "keywords": ["residential"],
    "exclude_keywords": ["student housing"],
    "suppress_domains": ["https://www.acme.com/about"],
    "notes": "prefers email",
    "quantity": 50,
}


def understood(raw: object) -> Criteria:
    return parse_criteria(raw).criteria


def test_every_key_reaches_the_model() -> None:
    parsed = parse_criteria(EVERY_KEY)
    assert parsed.quantity == 50
    assert parsed.criteria == Criteria(
        pms=(PmsVendor.BUILDIUM, PmsVendor.APPFOLIO),
        pms_exclude=(PmsVendor.YARDI,),
        states=("TX", "OK"),
        cities=("Austin", "Tulsa"),
        zip="78701",
        radius_miles=25.0,
        units_min=50,
        units_max=1000,
        company_types=(CompanyType.SINGLE_FAMILY, CompanyType.MIXED_RESIDENTIAL),
        icp_tier_min=IcpTier.B,
        keywords=("residential",),
        exclude_keywords=("student housing",),
        suppress_domains=("acme.com",),
        notes="prefers email",
    )
    assert {*EVERY_KEY, "state", "city"} == set(KNOWN_KEYS)


@pytest.mark.parametrize(("single", "plural"), [("state", "states"), ("city", "cities")])
def test_singular_and_plural_keys_are_synonyms(single: str, plural: str) -> None:
    value = "TX" if single == "state" else "Austin"
    assert understood({single: value}) == understood({plural: [value]})
    with pytest.raises(CriteriaError, match=f"'{single}' and '{plural}' mean the same"):
        parse_criteria({single: value, plural: [value]})


@pytest.mark.parametrize("value", ["TX", "tx", "Texas", "TEXAS", " texas ", "Tx."])
def test_a_state_is_given_by_code_or_name(value: str) -> None:
    assert understood({"state": value}).states == ("TX",)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"pms": "buildium"}, (PmsVendor.BUILDIUM,)),
        ({"pms": ["Buildium", "BUILDIUM"]}, (PmsVendor.BUILDIUM,)),
        ({"pms": "rent manager"}, (PmsVendor.RENT_MANAGER,)),
        ({"pms": "RentManager"}, (PmsVendor.RENT_MANAGER,)),
    ],
)
def test_software_is_one_name_or_a_list_in_any_spelling(raw: object, expected: tuple[PmsVendor, ...]) -> None:
    assert understood(raw).pms == expected


@pytest.mark.parametrize(
    ("raw", "nearest"),
    [
        ({"sates": "TX"}, "'states'"),
        ({"unit_min": 50}, "'units_min'"),
        ({"UNITS_MAX": 50}, "'units_max'"),
        ({"company_typs": "hoa"}, "'company_types'"),
        ({"exclude_keyword": "x"}, "'exclude_keywords'"),
        ({"pms_excluded": "Yardi"}, "'pms_exclude'"),
        ({"stat": "TX"}, "'state'"),
        ({"min_units": 50}, "'units_min'"),
        ({"quantiy": 5}, "'quantity'"),
    ],
)
def test_an_unknown_key_names_the_nearest(raw: object, nearest: str) -> None:
    with pytest.raises(CriteriaError, match=f"unknown criterion .* did you mean {nearest}"):
        parse_criteria(raw)


def test_a_key_like_no_other_lists_all_keys() -> None:
    with pytest.raises(CriteriaError) as refused:
        parse_criteria({"geo_mrkt": "x"})
    assert all(key in str(refused.value) for key in KNOWN_KEYS)


@settings(deadline=None)
@given(st.text(max_size=20).filter(lambda key: key not in {*KNOWN_KEYS, "company_type"}))
def test_no_other_key_is_ever_accepted(key: str) -> None:
    with pytest.raises(CriteriaError, match="unknown criterion"):
        parse_criteria({key: "TX"})


BAD_INPUTS: list[tuple[object, str]] = [
    ([{"state": "TX"}], "must be a JSON object .* not a list"),
    ("Texas", "must be a JSON object .* not a text"),
    (None, "must be a JSON object .* not nothing"),
    ({"state": "Texsas"}, "did you mean 'Texas'"),
    ({"state": "ZZ"}, "two-letter code or a full name"),
    ({"state": "TX, OK"}, "is not a US state"),
    ({"states": []}, "empty list"),
    ({"states": ["TX", 5]}, "takes a text or a list of texts, not a number"),
    ({"city": "  "}, "takes a text or a list of texts"),
    ({"pms": "Buildum"}, "did you mean 'Buildium'"),
    ({"pms": "zzz"}, "known: Buildium, AppFolio"),
    ({"pms": {"name": "Yardi"}}, 'must have just "value" and "mode"'),
    ({"pms": "Yardi", "pms_exclude": ["Yardi"]}, "both wanted .* and excluded"),
    ({"zip": "7870"}, "five-digit US ZIP"),
    ({"zip": "00000"}, "five-digit US ZIP"),
    ({"zip": 78701}, "five-digit US ZIP code as a text"),
    ({"radius_miles": 10}, "needs a zip"),
    ({"zip": "78701", "radius_miles": 0}, "above 0 and up to 500"),
    ({"zip": "78701", "radius_miles": 501}, "above 0 and up to 500"),
    ({"zip": "78701", "radius_miles": float("nan")}, "above 0 and up to 500"),
    ({"zip": "78701", "radius_miles": True}, "number of miles"),
    ({"units_min": "50"}, "whole number, not a text"),
    ({"units_min": 50.5}, "whole number"),
    ({"units_min": True}, "whole number, not a yes/no"),
    ({"units_min": -1}, "between 0 and"),
    ({"units_max": 10_000_001}, "between 0 and"),
    ({"units_min": 100, "units_max": 99}, r"units_min \(100\) is greater than units_max \(99\)"),
    ({"company_types": ["single family"]}, "did you mean 'single_family'"),
    ({"company_types": ["unknown"]}, "not a company type"),
    ({"icp_tier_min": "D"}, r"one of A\+, A, B, C"),
    ({"icp_tier_min": "a"}, r"one of A\+, A, B, C"),
    ({"icp_tier_min": ["A"]}, r"one of A\+, A, B, C"),
    ({"suppress_domains": ["not a domain"]}, "not a domain name"),
    ({"suppress_domains": ["com"]}, "not a domain name"),
    ({"notes": 5}, "takes a text"),
    ({"notes": "a\x00b"}, "cannot be shown"),
    ({"city": "Aus\u202etin"}, "cannot be shown"),
    ({"quantity": "five"}, "whole number"),
    ({"quantity": True}, "whole number"),
    ({"quantity": {"value": 5, "mode": "hard"}}, "whole number"),
    ({"units_min": {"value": 50, "mode": "maybe"}}, 'mode must be "hard" or "soft"'),
    ({"units_min": {"value": 50, "mode": ["soft"]}}, 'mode must be "hard" or "soft"'),
    ({"units_min": {"value": 50}}, 'must have just "value" and "mode"'),
    ({"keywords": {"value": ["x"], "mode": "hard"}}, "takes no mode"),
    ({"state": {"value": "TX", "mode": "soft"}, "city": {"value": "Austin", "mode": "hard"}}, "use one mode"),
]


@pytest.mark.parametrize(("raw", "said"), BAD_INPUTS, ids=[str(raw)[:60] for raw, _ in BAD_INPUTS])
def test_bad_input_says_what_was_expected(raw: object, said: str) -> None:
    with pytest.raises(CriteriaError, match=said):
        parse_criteria(raw)


@pytest.mark.parametrize("units", [0, 50])
def test_units_min_may_equal_units_max(units: int) -> None:
    criteria = understood({"units_min": units, "units_max": units})
    assert (criteria.units_min, criteria.units_max) == (units, units)
    assert "units" in criteria.asked()


def test_type_and_tier_are_soft_by_default() -> None:
    modes = {key: Criteria().mode_of(key) for key in CRITERION_KEYS}
    soft = {"company_types", "icp_tier_min"}
    assert {key for key, mode in modes.items() if mode is Mode.SOFT} == soft
    assert {key for key, mode in modes.items() if mode is Mode.HARD} == set(CRITERION_KEYS) - soft


def test_a_request_can_override_a_mode() -> None:
    criteria = understood({"units_min": {"value": 50, "mode": "soft"}, "icp_tier_min": {"value": "B", "mode": "hard"}})
    assert criteria.units_min == 50
    assert criteria.mode_of("units") is Mode.SOFT
    assert criteria.mode_of("icp_tier_min") is Mode.HARD
    assert criteria.mode_of("pms") is Mode.HARD


def test_null_means_not_asked_and_so_does_leaving_out() -> None:
    assert understood(dict.fromkeys(["state", "pms", "units_min", "notes"])) == understood({}) == Criteria()
    assert Criteria().asked() == ()


@pytest.mark.parametrize(
    ("raw", "asked"),
    [
        ({"state": "TX"}, {"place"}),
        ({"city": "Austin"}, {"place"}),
        ({"zip": "78701"}, {"place"}),
        ({"units_max": 0}, {"units"}),
        ({"keywords": ["x"], "notes": "y", "suppress_domains": ["acme.com"]}, set()),
        (EVERY_KEY, set(CRITERION_KEYS)),
    ],
)
def test_only_what_is_asked_is_judged(raw: object, asked: set[str]) -> None:
    criteria = understood(raw)
    assert set(criteria.asked()) == asked
    assert len(criteria.asked()) == len(asked)


def test_a_list_keeps_its_order_and_names_nothing_twice() -> None:
    assert understood({"states": ["OK", "TX", "Oklahoma"]}).states == ("OK", "TX")
    assert understood({"cities": ["Tulsa", " Austin", "Tulsa"]}).cities == ("Tulsa", "Austin")


def test_a_suppressed_portal_host_names_one_customer() -> None:
    given_domains = ["https://acme.managebuilding.com/Resident", "www.acme.co.uk"]
    assert understood({"suppress_domains": given_domains}).suppress_domains == ("acme.managebuilding.com", "acme.co.uk")


def test_described_criteria_are_what_was_understood() -> None:
    criteria = understood({"state": {"value": "Texas", "mode": "soft"}, "pms": "buildium"})
    assert criteria.described() == {"states": ["TX"], "pms": ["Buildium"], "modes": {"place": "soft"}}


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={key: st.just(value) for key, value in EVERY_KEY.items() if key not in {"quantity", "radius_miles"}},
    )
)
def test_criteria_survive_storage_unchanged(raw: dict[str, Any]) -> None:
    criteria = understood(raw)
    assert Criteria.model_validate_json(criteria.model_dump_json()) == criteria
    assert Criteria.model_validate(criteria.described()) == criteria
