"""Where companies are lost, step by step."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.company.status import ReasonCode
from domain.request.funnel import funnel_steps

COUNTS = st.dictionaries(st.sampled_from([*(reason.value for reason in ReasonCode), "open"]), st.integers(1, 50))


def test_each_step_counts_passed_and_lost_companies() -> None:
    ends = {"open": 4, "site_dead": 2, "no_own_domain": 1, "duplicate": 3, "suppressed": 2, "place_not_met": 5}
    ends |= {"pms_unknown": 1, "pms_not_met": 6, "contacts_short": 2, "complete": 10}
    steps = [(step.name, step.companies, step.lost) for step in funnel_steps(50, ends)]
    assert steps == [
        ("found", 50, {}),
        ("new", 36, {"named_before": 14}),
        ("judged", 32, {"open": 4}),
        ("alive", 30, {"site_dead": 2}),
        ("own domain", 29, {"no_own_domain": 1}),
        ("not a duplicate", 26, {"duplicate": 3}),
        ("not suppressed", 24, {"suppressed": 2}),
        ("in place", 19, {"place_not_met": 5}),
        ("software proven", 12, {"pms_not_met": 6, "pms_unknown": 1}),
        ("complete", 10, {"contacts_short": 2}),
    ]


@given(st.integers(0, 5_000), COUNTS)
def test_no_company_is_lost_without_a_reason(named: int, ends: dict[str, int]) -> None:
    steps = funnel_steps(named, ends)
    for before, after in pairwise(steps):
        assert before.companies - sum(after.lost.values()) == after.companies


@given(COUNTS)
def test_the_count_of_all_that_the_store_adds_changes_nothing(ends: dict[str, int]) -> None:
    assert funnel_steps(0, {**ends, "found": sum(ends.values())}) == funnel_steps(0, ends)
