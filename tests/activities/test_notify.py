"""The requester is told by mail, once per change of state, and a password never travels in the clear. Over a real SMTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.export import ExportActivities
from activities.notify import NotifyActivities
from domain.activity_io import NotifyInput, RunInput
from domain.request.decision import DecisionAction, DecisionOption, DecisionReason, DecisionRequest
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from local.processes import free_ports
from settings import Settings
from store.database import Database
from store.runs import runs
from tests.store.rows import add_run

QUESTION = DecisionRequest.model_validate(
    {
        "decision_id": "decision-1",
        "reason": DecisionReason.LOW_MATCH_RATE,
        "message": "2 of 5 companies are complete.",
        "funnel": {},
        "options": [
            DecisionOption(action=DecisionAction.ACCEPT_PARTIAL, description="finish with the 2", answer={}),
            DecisionOption(action=DecisionAction.CANCEL, description="end the run", answer={}),
        ],
        "default": DecisionAction.ACCEPT_PARTIAL,
        "deadline": "2031-01-01T00:00:00Z",
    }
)


class MailServer:
    """An SMTP server without TLS that takes every login; it keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.logins: list[object] = []
        self.refuses_recipients = False
        self.is_full = False
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_ports(1)[0],
            authenticator=self._authenticate,
            auth_require_tls=False,
        )

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def url(self, login: str = "") -> SecretStr:
        """Its address as a setting."""
        return SecretStr(f"smtp://{login}127.0.0.1:{self._controller.port}")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or not."""
        if self.refuses_recipients:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep a message."""
        if self.is_full:
            return "452 no space left"
        content = envelope.original_content or b""
        self.messages.append(message_from_bytes(content, EmailMessage, policy=policy.default))
        return "250 OK"

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.logins.append(data)
        return AuthResult(success=True)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
async def request_(database: Database) -> RunRequest:
    async with database.transaction() as conn:
        return await add_run(conn, target=5)


async def notify(database: Database, url: SecretStr | None, run_id: UUID, state_key: str) -> bool:
    """Run the activity with nothing configured but the mail server."""
    settings = Settings(_env_file=None, smtp_url=url, temporal_ui_url="http://ui.example:8233")
    activities = NotifyActivities(database, settings)
    params = NotifyInput(run_id=run_id, state_key=state_key)
    return await ActivityEnvironment().run(activities.notify_requester, params)


async def end(database: Database, request: RunRequest, status: RunStatus) -> None:
    """End the run as the workflow does: its row, then its files."""
    async with database.transaction() as conn:
        await runs.finish(conn, request.run_id, status, [], "as the test has it")
    if status is RunStatus.COMPLETED:
        await ActivityEnvironment().run(ExportActivities(database).export_run, RunInput(request=request))


def body_of(message: EmailMessage) -> str:
    """The words of a message."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def test_each_change_of_state_is_told_once_however_often_the_step_runs(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    async with database.transaction() as conn:
        await runs.set_question(conn, request_.run_id, QUESTION)
    told = [await notify(database, mail.url(), request_.run_id, "decision-1") for _ in range(3)]
    await end(database, request_, RunStatus.COMPLETED)
    told += [await notify(database, mail.url(), request_.run_id, "completed") for _ in range(2)]

    assert told == [True, False, False, True, False]
    short = str(request_.run_id)[:8]
    assert [message["Subject"] for message in mail.messages] == [
        f"Run {short} needs your decision",
        f"Run {short} is completed: 0 of 5 companies",
    ]
    assert {message["To"] for message in mail.messages} == {"asker@customer.example"}


async def test_two_attempts_at_once_tell_it_once_and_the_same_change_always_has_the_same_message_id(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    both = [notify(database, mail.url(), request_.run_id, "completed") for _ in range(2)]
    assert sorted(await asyncio.gather(*both)) == [False, True]
    async with database.transaction() as conn:
        await conn.execute("DELETE FROM notifications")  # as after a crash before the mark
        await conn.execute("UPDATE runs SET updated_at = now() + interval '1 hour'")
    await notify(database, mail.url(), request_.run_id, "completed")
    first, repeated = (message["Message-ID"] for message in mail.messages)
    assert first == repeated


async def test_a_question_is_told_with_its_options_and_where_to_answer(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    async with database.transaction() as conn:
        await runs.set_question(conn, request_.run_id, QUESTION)
    await notify(database, mail.url(), request_.run_id, "decision-1")
    [message] = mail.messages
    body = body_of(message)
    assert "2 of 5 companies are complete." in body
    assert "accept_partial: finish with the 2" in body
    assert f"python starter.py signal {str(request_.run_id)[:8]} ACTION" in body
    assert f"http://ui.example:8233/namespaces/default/workflows/lead-list-{request_.run_id}" in body
    assert list(message.iter_attachments()) == [], "a run that waits has no final files"


async def test_a_completed_run_is_told_with_both_files(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    await end(database, request_, RunStatus.COMPLETED)
    await notify(database, mail.url(), request_.run_id, "completed")
    [message] = mail.messages
    names = [str(part.get_filename()) for part in message.iter_attachments()]
    assert [name.split("_")[0] for name in names] == ["companies", "contacts"]
    assert all(name.endswith(".csv") for name in names)


async def test_f95_a_password_is_not_sent_to_a_server_without_starttls(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    with pytest.raises(ApplicationError) as raised:
        await notify(database, mail.url("me:hush@"), request_.run_id, "completed")
    assert raised.value.type == "MailDown"
    assert "hush" not in str(raised.value)
    assert (mail.logins, mail.messages) == ([], [])
    assert await notify(database, mail.url(), request_.run_id, "completed"), "it does not count as told"


async def test_f95_a_server_that_is_down_or_full_is_an_error_to_try_again(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    nobody_there = SecretStr(f"smtp://127.0.0.1:{free_ports(1)[0]}")
    mail.is_full = True
    for url in (nobody_there, mail.url()):
        with pytest.raises(ApplicationError) as raised:
            await notify(database, url, request_.run_id, "completed")
        assert (raised.value.type, raised.value.non_retryable) == ("MailDown", False)
    mail.is_full = False
    assert await notify(database, mail.url(), request_.run_id, "completed"), "the next attempt tells it"


async def test_a_recipient_that_the_server_refuses_is_an_error_that_no_attempt_mends(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    mail.refuses_recipients = True
    with pytest.raises(ApplicationError) as raised:
        await notify(database, mail.url(), request_.run_id, "completed")
    assert (raised.value.type, raised.value.non_retryable) == ("MailRefused", True)
    assert "asker@customer.example" not in str(raised.value), "failures go to the history, which holds nothing personal"


async def test_without_a_mail_server_or_an_address_nothing_is_sent_and_nothing_fails(
    plain_environment: None, database: Database, mail: MailServer, request_: RunRequest
) -> None:
    assert await notify(database, None, request_.run_id, "completed") is False
    async with database.transaction() as conn:
        await conn.execute("UPDATE runs SET notify_email = NULL WHERE run_id = %s", (request_.run_id,))
    assert await notify(database, mail.url(), request_.run_id, "completed") is False
    assert mail.messages == []
