"""What the Web UI shows of a run: progress, funnel, and the open question with the exact answer to send."""

import json
import re
import shlex
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.request.criteria import Criteria
from domain.request.decision import DecisionAction, DecisionOption, DecisionReason, DecisionRequest, parse_decision
from domain.request.progress import RunProgress, RunStatus, Stage
from domain.request.run_request import RunRequest
from workflows.ui import render_details

WORKFLOW_ID = "lead-list-00000000-0000-0000-0000-000000000001"
OPTIONS = (
    DecisionOption(
        action=DecisionAction.ACCEPT_PARTIAL,
        description="finish with the 3 complete companies",
        answer={"decision_id": "decision-2", "action": "accept_partial"},
        expected_companies=0,
    ),
    DecisionOption(
        action=DecisionAction.RETRY,
        description="search on",
        answer={"decision_id": "decision-2", "action": "retry"},
        expected_companies=4,
        expected_cost_usd=1.2,
    ),
)


def question(problem: str | None = None) -> DecisionRequest:
    return DecisionRequest(
        decision_id="decision-2",
        reason=DecisionReason.CANDIDATES_EXHAUSTED,
        message="3 of 5 companies are complete; all 9 searches are done.",
        funnel={"complete": 3},
        options=OPTIONS,
        default=DecisionAction.ACCEPT_PARTIAL,
        deadline=datetime(2031, 2, 3, 4, 5, tzinfo=UTC),
        problem=problem,
    )


def shown(**more: Any) -> str:
    progress = RunProgress(
        **{
            "run_id": UUID(int=1),
            "stage": Stage.COMPANY_RESEARCH,
            "status": RunStatus.ACTIVE,
            "target_quantity": 5,
            "companies_ready": 3,
            "contacts_ready": 7,
            "funnel": {"pms_not_met": 4, "complete": 3},
            "open_discovery": 1,
            "open_research": 2,
            "open_contacts": 6,
            "queued": 8,
            "model_calls": 42,
            "cost_usd": 1.5,
            **more,
        }
    )
    return render_details(progress, WORKFLOW_ID)


def test_progress_is_shown_at_a_glance() -> None:
    text = shown()
    first = text.splitlines()[0]
    assert first == ("**active** · stage **company_research** · companies **3/5** (60 %) · contacts **7**")
    assert "Open: 1 searches, 2 companies in research, 6 in contact discovery; 8 waiting." in text
    assert "Model calls 42, cost $1.50." in text


def test_a_cost_that_may_be_unknown_is_not_shown_as_zero() -> None:
    assert "Model calls 42, cost unknown or zero (`status` says which)." in shown(cost_usd=0.0)
    assert "Model calls 0, cost $0.00." in shown(model_calls=0, cost_usd=0.0)


def test_the_funnel_is_shown_as_a_table() -> None:
    text = shown(named=30)
    assert "| step | companies | lost |\n|---|---|---|\n| found | 30 |  |\n| new | 23 | 7 named_before |" in text
    assert "| judged | 7 | 16 open |" in text
    assert "| software proven | 3 | 4 pms_not_met |\n| complete | 3 |  |" in text
    assert "| step |" not in shown(funnel={})


def test_skipped_searches_are_named() -> None:
    assert "hardly find anything new: directory pages, software." in shown(
        exhausted_kinds=("directory_pages", "software")
    )
    assert "Skipped" not in shown()


def test_the_note_is_shown() -> None:
    assert "\n\ndecision-1: retry by ann\n" in shown(note="decision-1: retry by ann")


def test_no_question_is_shown_while_none_is_open() -> None:
    assert "DECISION" not in shown()


def test_an_open_question_is_shown() -> None:
    text = shown(decision=question(), status=RunStatus.NEEDS_USER_DECISION)
    assert "## NEEDS USER DECISION decision-2" in text
    assert "3 of 5 companies are complete; all 9 searches are done." in text
    assert "Without an answer by 2031-02-03 04:05 UTC: `accept_partial`." in text


def test_an_answer_refused_without_a_question_is_shown() -> None:
    assert "**The last answer was refused:** nobody asked" in shown(problem="nobody asked")


def test_each_option_says_what_it_may_yield_and_cost() -> None:
    text = shown(decision=question())
    assert "- search on (4 found already may fit, about $1.20; searches may find more)" in text
    assert "- finish with the 3 complete companies\n" in text


def test_each_answer_shown_is_one_that_the_run_understands() -> None:
    answers = [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", shown(decision=question()), re.DOTALL)]
    request = RunRequest(run_id=UUID(int=1), criteria=Criteria(), target_quantity=5)
    assert [parse_decision(answer, question(), request).action for answer in answers] == [
        DecisionAction.ACCEPT_PARTIAL,
        DecisionAction.RETRY,
    ]


def test_the_command_shown_is_valid_in_a_shell() -> None:
    command = re.search(r"```sh\n(.*?)\n```", shown(decision=question()), re.DOTALL)
    assert command is not None
    words = shlex.split(command[1])
    assert words[:-1] == [
        "temporal", "workflow", "signal", "--address", "ADDRESS", "--workflow-id", WORKFLOW_ID,
        "--name", "resolve_decision", "--input",
    ]  # fmt: skip
    assert json.loads(words[-1]) == OPTIONS[0].answer


def test_a_refused_answer_is_shown_with_the_reason() -> None:
    text = shown(decision=question("unknown action 'retri'; did you mean 'retry'?"))
    assert "**The last answer was refused:** unknown action 'retri'; did you mean 'retry'?" in text
    assert "refused" not in shown(decision=question())
