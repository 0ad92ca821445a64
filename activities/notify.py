"""Email the requester once when a run ends or needs a decision. Without ``SMTP_URL`` or an address, nothing is sent."""

from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.activity_io import NotifyInput
from domain.request.progress import RunStatus
from settings import Settings
from store.database import Database
from store.delivery import export_rows
from store.runs import notifications, runs
from store.runs.runs import RunRow

log = structlog.get_logger()


class NotifyActivities:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    @activity.defn
    async def notify_requester(self, params: NotifyInput) -> bool:
        """Send the message for a change of state. Return whether it was sent now.

        Concurrent attempts wait for each other. The change is marked as sent after the server accepts the message. A crash in
        between can repeat a message with the same Message-ID, but never lose one.

        Raises:
            ApplicationError: ``MailDown`` (retryable) or ``MailRefused`` (not retryable).
        """
        async with self._database.transaction() as conn:
            await notifications.lock(conn, params.run_id, params.state_key)
            run = await runs.get_run(conn, params.run_id)
            if run.notify_email is None or await notifications.was_sent(conn, params.run_id, params.state_key):
                return False
            if self._settings.smtp_url is None:
                log.warning("notification_not_sent", reason="SMTP_URL is not set", state=params.state_key)
                return False
            message = self._message(run, params.state_key)
            for kind in ("companies", "contacts") if run.status is RunStatus.COMPLETED else ():
                artifact = await export_rows.load_artifact(conn, params.run_id, kind)
                if artifact is not None:
                    file, _ = artifact
                    message.add_attachment(file.content, maintype="text", subtype="csv", filename=file.name)
            await _send(message, self._settings.smtp_url.get_secret_value())
            await notifications.mark_sent(conn, params.run_id, params.state_key)
        log.info("notification_sent", state=params.state_key)
        return True

    def _message(self, run: RunRow, state_key: str) -> EmailMessage:
        short = str(run.run_id)[:8]
        message = EmailMessage()
        message["From"] = self._settings.mail_from
        message["To"] = run.notify_email or ""
        message["Message-ID"] = f"<{run.run_id}.{state_key}@pm-pipeline>"
        if run.decision is not None:
            message["Subject"] = f"Run {short} needs your decision"
            options = "\n".join(f"- {option.action.value}: {option.description}" for option in run.decision.options)
            body = f"{run.decision.message}\n\n{options}\n\nAnswer with: python starter.py signal {short} ACTION\n"
        else:
            count = len(run.selected or ())
            message["Subject"] = f"Run {short} is {run.status.value}: {count} of {run.target_quantity} companies"
            body = f"{run.notes}\n\nWrite the files with: python starter.py export {short} --output-dir DIR\n"
        if self._settings.temporal_ui_url:
            ui, namespace = self._settings.temporal_ui_url.rstrip("/"), self._settings.temporal_namespace
            body += f"\n{ui}/namespaces/{namespace}/workflows/{run.workflow_id}\n"
        message.set_content(body)
        return message


async def _send(message: EmailMessage, smtp_url: str) -> None:
    url = urlsplit(smtp_url)
    tls = url.scheme == "smtps"
    try:
        await aiosmtplib.send(
            message,
            hostname=url.hostname or "localhost",
            port=url.port or (465 if tls else 25),
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            use_tls=tls,
            start_tls=True if url.username and not tls else None,  # no password without encryption
            timeout=30,
        )
    except (
        aiosmtplib.SMTPRecipientsRefused,
        aiosmtplib.SMTPSenderRefused,
        aiosmtplib.SMTPAuthenticationError,
    ) as error:
        raise ApplicationError("the mail server refused the message", type="MailRefused", non_retryable=True) from error
    except aiosmtplib.SMTPException as error:
        raise ApplicationError("the mail server did not accept the message", type="MailDown") from error
