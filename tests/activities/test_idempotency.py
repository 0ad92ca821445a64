"""Every activity may run twice, or be cut off and run again: it stores what one undisturbed run stores."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from domain.activity_io import (
    CompanyBatchInput,
    DecisionInput,
    DependencyCheckInput,
    FinishInput,
    NotifyInput,
    QuestionInput,
    RefusedAnswerInput,
    RunInput,
    RunStateInput,
    SearchTaskBatchInput,
    SearchTaskInput,
    SuppressionCheckInput,
)
from domain.failures import Dependency
from domain.request.decision import Decision, DecisionAction, DecisionReason
from domain.request.progress import RunStatus, Stage
from settings import Settings
from tests.activities.stages import CutOff, Stages, a_point, cancel_this_task, staged_run
from tests.activities.test_notify import QUESTION, MailServer
from tests.conftest import DemoServers, database_on

_DECISION = Decision(decision_id="decision-1", action=DecisionAction.LOOSEN_PMS, decided_by="Dana", pms=("AppFolio",))
_AGAIN_MAX = 12  # a pool hands out each of its dead connections once


def _task(stages: Stages) -> SearchTaskInput:
    assert stages.task is not None
    return SearchTaskInput(request=stages.request, task=stages.task)


def _run(stages: Stages) -> RunInput:
    return RunInput(request=stages.request)


def _company(stages: Stages) -> Any:
    return stages.company_input


# Activity → the stage of the run that it starts from, and its input.
CASES: dict[str, tuple[str, Callable[[Stages], Any]]] = {
    "plan_run_search": ("found", _run),
    "next_search_tasks": ("found", lambda s: SearchTaskBatchInput(run_id=s.request.run_id, after_ordinal=-1, limit=5)),
    "new_companies": ("found", lambda s: CompanyBatchInput(run_id=s.request.run_id, cursor=0)),
    "record_state": (
        "found",
        lambda s: RunStateInput(
            run_id=s.request.run_id, stage=Stage.COMPANY_RESEARCH, status=RunStatus.ACTIVE, note="n"
        ),
    ),
    "store_question": (
        "complete",
        lambda s: QuestionInput(
            request=s.request,
            stage=Stage.COMPANY_RESEARCH,
            reason=DecisionReason.LOW_MATCH_RATE,
            decision_id="decision-1",
            message="m",
            complete=1,
            deadline_at="2031-01-01T00:00:00+00:00",
        ),
    ),
    "apply_decision": (
        "rejected",
        lambda s: DecisionInput(request=s.request, decision=_DECISION, question=QUESTION),
    ),
    "record_refused_decision": (
        "complete",
        lambda s: RefusedAnswerInput(run_id=s.request.run_id, decision_id="decision-1", problem="p"),
    ),
    "finish_run": ("complete", lambda s: FinishInput(request=s.request, status=RunStatus.COMPLETED)),
    "fail_search_task": ("found", _task),
    "qualify_company": ("found", _company),
    "fail_company": ("found", _company),
    "recheck_suppression": ("listed", lambda s: SuppressionCheckInput(request=s.request)),
    "check_dependencies": (
        "found",
        lambda s: DependencyCheckInput(run_id=s.request.run_id, dependencies=(Dependency.DATABASE, Dependency.MODEL)),
    ),
    "verify_emails": ("with_people", _company),
    "select_contacts": ("with_people", _company),
    "export_run": ("finished", _run),
    "notify_requester": ("finished", lambda s: NotifyInput(run_id=s.request.run_id, state_key="completed")),
    "discover": ("found", _task),
    "research_company": ("qualified", _company),
    "find_contacts": ("researched", _company),
}
# They return what this attempt has done; no workflow depends on it.
_RETURN_WHAT_THEY_DID = {"plan_run_search", "apply_decision", "notify_requester"}


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture(scope="module")
async def stages(
    postgres_url: str, migrated_template: str, demo: DemoServers, mail: MailServer
) -> AsyncIterator[Stages]:
    name = sql.Identifier("stages")
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as conn:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        await conn.execute(copy.format(name, sql.Identifier(migrated_template)))
    url = database_on(postgres_url, "stages")
    with pytest.MonkeyPatch.context() as environment:
        for field in Settings.model_fields:
            environment.delenv(field.upper(), raising=False)
        settings = Settings(
            _env_file=None,
            openai_api_key=SecretStr("demo"),
            openai_base_url=demo.openai_base_url,
            openai_model="demo-scripted-1",
            model_price_input_usd_per_mtok=1.0,
            model_price_output_usd_per_mtok=4.0,
            searxng_url=demo.searxng_url,
            web_proxy=demo.web_proxy,
            host_request_interval_s=0,
            mail_dns=False,
            smtp_url=mail.url(),
        )
    async with staged_run(settings, url) as staged:
        await staged.run("finish_run", FinishInput(request=staged.request, status=RunStatus.COMPLETED))
        staged.save("finished")
        for stage, change in (
            ("listed", "INSERT INTO suppression_domains (entry_key, domain, reason, source)"
             " SELECT 'customer:' || domain, domain, 'customer', 'list' FROM company_candidates WHERE domain IS NOT NULL"),
            ("rejected", "UPDATE company_candidates SET status = 'rejected', reason = 'pms_not_met'"),
        ):  # fmt: skip
            staged.restore("complete")
            staged.conn.execute(change.encode())
            staged.save(stage)
        yield staged
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as conn:
        await conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def test_every_activity_of_a_worker_has_a_case(stages: Stages) -> None:
    assert CASES.keys() == stages.activities.keys(), "add a case for the new activity"


@pytest.mark.parametrize("name", CASES)
async def test_run_twice_or_cut_off_it_stores_what_one_run_stores(stages: Stages, mail: MailServer, name: str) -> None:
    stage, input_of = CASES[name]
    params, watched = input_of(stages), CutOff()
    mail.messages.clear()

    stages.restore(stage)
    answer = await stages.run(name, params, cut_off=watched)
    undisturbed = stages.state(stage)

    # A rescheduled activity is a first attempt again. Research reports earlier spending only in a later attempt.
    again = await stages.run(name, params, attempt=2 if name == "research_company" else 1)
    assert _differences(stages.state(stage), undisturbed) == [], "run twice"
    assert again == answer or name in _RETURN_WHAT_THEY_DID
    assert len(mail.messages) == (name == "notify_requester"), "sent once"
    assert stages.turns_lost() == 0, "no turn was bought twice"

    for how in (cancel_this_task, stages.disconnect):
        mail.messages.clear()
        stages.restore(stage)
        point = a_point(name, watched.waits)
        cut_off = CutOff(point, how)
        try:
            await stages.run(name, params, cut_off=cut_off)
        except (asyncio.CancelledError, psycopg.OperationalError):
            pass
        else:
            assert how != cancel_this_task, (
                "it was cut off"
            )  # a connection that was not needed again may be lost unnoticed
        assert cut_off.waits >= point, "the point was reached"
        again = await _run_until_done(stages, name, params)
        assert _differences(stages.state(stage), undisturbed) == [], f"cut off at wait {point} of {watched.waits}"
        assert again == answer or name in _RETURN_WHAT_THEY_DID
        assert stages.turns_lost() <= 1, "the open one"
        # A message may be sent again under the same id, if the server took it before the cut.
        assert len({message["Message-ID"] for message in mail.messages}) == (name == "notify_requester")


async def _run_until_done(stages: Stages, name: str, params: Any) -> Any:
    for attempt in range(2, _AGAIN_MAX):
        with contextlib.suppress(psycopg.OperationalError):
            return await stages.run(name, params, attempt=attempt)
    raise AssertionError(f"{name} did not end")


def _differences(state: list[str], wanted: list[str]) -> list[str]:
    """Rows too many (+) and rows missing (-)."""
    more, less = Counter(state) - Counter(wanted), Counter(wanted) - Counter(state)
    return [f"+ {row}" for row in more.elements()] + [f"- {row}" for row in less.elements()]
