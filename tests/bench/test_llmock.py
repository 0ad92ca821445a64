"""The model server's verdict is a miss where nothing was provoked, the run did not end, or we were found wanting."""

from collections import Counter

import pytest

from bench.llmock import Verdict, report
from domain.request.progress import RunStatus

GOOD = Verdict(
    scenario="429",
    status=RunStatus.COMPLETED,
    companies=3,
    passed=True,
    calls=9,
    attempts=12,
    faults=3,
    fails=Counter(),
    warns=Counter(),
    asked=Counter(),
    text="",
)


@pytest.mark.parametrize("change", [{"faults": 0}, {"passed": False}, {"status": RunStatus.ACTIVE}])
def test_a_run_that_shows_nothing_or_not_what_it_should_is_a_miss(change: dict[str, object]) -> None:
    assert GOOD.is_good
    assert not GOOD.model_copy(update=change).is_good


def test_a_finding_stands_in_the_table_in_bold_with_the_judges_words() -> None:
    found = GOOD.model_copy(update={"fails": Counter({"retry_after_ignored": 2}), "text": "too early"})
    text = report([GOOD, found], wall_s=1.0)
    assert "| 429 | completed | 3 | 9 | 12 | 3 | 0 | 0 | 0 |" in text
    assert "**2 × retry_after_ignored**" in text
    assert "too early" in text
