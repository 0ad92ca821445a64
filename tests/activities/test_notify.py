"""The requester is emailed once per change of state, over a real SMTP server. No password is sent in the clear."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

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
    """An SMTP server without TLS that accepts every login and keeps every message."""

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
        return SecretStr(f"smtp://{login}127.0.0.1:{self._controller.port}")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refuses_recipients:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
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


class Notifier:
    """A run, and the activity with nothing configured but the mail server."""

    def __init__(self, database: Database, request: RunRequest) -> None:
        self.database, self.request, self.short_id = database, request, str(request.run_id)[:8]

    async def notify(self, url: SecretStr | None, state_key: str = "completed") -> bool:
        settings = Settings(_env_file=None, smtp_url=url, temporal_ui_url="http://ui.example:8233")
        activities = NotifyActivities(self.database, settings)
        params = NotifyInput(run_id=self.request.run_id, state_key=state_key)
        return await ActivityEnvironment().run(activities.notify_requester, params)

    async def ask(self) -> None:
        async with self.database.transaction() as conn:
            await runs.set_question(conn, self.request.run_id, QUESTION)

    async def complete(self) -> None:
        async with self.database.transaction() as conn:
            await runs.finish(conn, self.request.run_id, RunStatus.COMPLETED, [], "")
        await ActivityEnvironment().run(ExportActivities(self.database).export_run, RunInput(request=self.request))


@pytest.fixture
async def run(plain_environment: None, database: Database) -> Notifier:
    async with database.transaction() as conn:
        return Notifier(database, await add_run(conn, target=5))


async def test_each_change_of_state_is_sent_once(mail: MailServer, run: Notifier) -> None:
    await run.ask()
    sent = [await run.notify(mail.url(), "decision-1") for _ in range(3)]
    await run.complete()
    sent += [await run.notify(mail.url()) for _ in range(2)]

    assert sent == [True, False, False, True, False]
    assert [message["Subject"] for message in mail.messages] == [
        f"Run {run.short_id} needs your decision",
        f"Run {run.short_id} is completed: 0 of 5 companies",
    ]
    assert {message["To"] for message in mail.messages} == {"asker@customer.example"}


async def test_concurrent_attempts_send_once_under_one_message_id(mail: MailServer, run: Notifier) -> None:
    assert sorted(await asyncio.gather(run.notify(mail.url()), run.notify(mail.url()))) == [False, True]
    async with run.database.transaction() as conn:
        await conn.execute("DELETE FROM notifications")  # as after a crash before the mark
        await conn.execute("UPDATE runs SET updated_at = now() + interval '1 hour'")
    await run.notify(mail.url())
    first, repeated = (message["Message-ID"] for message in mail.messages)
    assert first == repeated


async def test_a_question_is_sent_with_its_options(mail: MailServer, run: Notifier) -> None:
    await run.ask()
    await run.notify(mail.url(), "decision-1")
    [message] = mail.messages
    text = message.get_body(("plain",))
    assert text is not None
    body = str(text.get_content())
    assert "2 of 5 companies are complete." in body
    assert "accept_partial: finish with the 2" in body
    assert f"python starter.py signal {run.short_id} ACTION" in body
    assert f"http://ui.example:8233/namespaces/default/workflows/lead-list-{run.request.run_id}" in body
    assert list(message.iter_attachments()) == [], "a waiting run has no final files"


async def test_a_completed_run_is_sent_with_both_files(mail: MailServer, run: Notifier) -> None:
    await run.complete()
    await run.notify(mail.url())
    [message] = mail.messages
    names = [str(part.get_filename()) for part in message.iter_attachments()]
    assert [name.split("_")[0] for name in names] == ["companies", "contacts"]
    assert all(name.endswith(".csv") for name in names)


async def test_no_password_is_sent_without_starttls(mail: MailServer, run: Notifier) -> None:
    with pytest.raises(ApplicationError) as raised:
        await run.notify(mail.url("me:hush@"))
    assert raised.value.type == "MailDown"
    assert "hush" not in str(raised.value)
    assert (mail.logins, mail.messages) == ([], [])
    assert await run.notify(mail.url()), "a failure does not count as sent"


async def test_a_server_that_is_down_or_full_is_retried(mail: MailServer, run: Notifier) -> None:
    mail.is_full = True
    for url in (SecretStr(f"smtp://127.0.0.1:{free_ports(1)[0]}"), mail.url()):
        with pytest.raises(ApplicationError) as raised:
            await run.notify(url)
        assert (raised.value.type, raised.value.non_retryable) == ("MailDown", False)
    mail.is_full = False
    assert await run.notify(mail.url())


async def test_a_refused_recipient_is_not_retried(mail: MailServer, run: Notifier) -> None:
    mail.refuses_recipients = True
    with pytest.raises(ApplicationError) as raised:
        await run.notify(mail.url())
    assert (raised.value.type, raised.value.non_retryable) == ("MailRefused", True)
    assert "asker@customer.example" not in str(raised.value), "the history holds no personal data"


async def test_without_a_server_or_an_address_nothing_is_sent(mail: MailServer, run: Notifier) -> None:
    assert await run.notify(None) is False
    async with run.database.transaction() as conn:
        await conn.execute("UPDATE runs SET notify_email = NULL WHERE run_id = %s", (run.request.run_id,))
    assert await run.notify(mail.url()) is False
    assert mail.messages == []
