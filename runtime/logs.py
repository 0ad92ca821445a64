"""Logging for every process, as JSON or for a console. Events name their run and activity.

Never log personal data or secrets. Refer to companies by id.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor
from temporalio import activity, workflow

from settings import Settings


def configure_logging(settings: Settings) -> None:
    """Send all log output of this process and its libraries to standard error."""
    shared: list[Processor] = [
        _without_replays,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _with_run,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "yoyo"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Otherwise each message would contain the whole workflow or activity info. _with_run adds what is needed.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False


def _without_replays(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if workflow.in_workflow() and workflow.unsafe.is_replaying():
        raise structlog.DropEvent
    return event


def _with_run(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if workflow.in_workflow():
        event["workflow_id"] = workflow.info().workflow_id
    elif activity.in_activity():
        info = activity.info()
        event["workflow_id"] = info.workflow_id
        event["activity"] = info.activity_type
        event["attempt"] = info.attempt
    if "workflow_id" in event:
        run, _, company = str(event["workflow_id"]).removeprefix("lead-list-").partition("/company/")
        event["run_id"] = run
        if company:
            event.setdefault("company", company)
    return event
