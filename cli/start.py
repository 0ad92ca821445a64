"""``starter.py start``: start a run and follow it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from cli.common import DEFAULT_OUTPUT_DIR, JsonOption, Output, OutputDirOption, async_command
from cli.render import criteria_table
from cli.watch import follow_to_end
from domain.request.run_request import OnDecision
from runtime.logs import configure_logging
from runtime.process import UserError, load_settings
from runtime.services import Services, open_services
from settings import Settings
from store.runs import runs
from usecases.start import StartOptions, build_request, check_output_dir, checked_email, criteria_from_json, start_run


@async_command
async def start(
    criteria: Annotated[str, typer.Option(help='JSON, such as \'{"pms": "Buildium", "state": "TX"}\'.')],
    quantity: Annotated[str | None, typer.Option(help="Complete companies wanted, 1 to 10,000.")] = None,
    contacts_min: Annotated[int, typer.Option(help="Minimum contacts per company.")] = 1,
    contacts_max: Annotated[int, typer.Option(help="Maximum contacts per company.")] = 3,
    output_dir: OutputDirOption = DEFAULT_OUTPUT_DIR,
    stage_timeout_s: Annotated[
        int, typer.Option("--timeout", help="Seconds a stage may take before the run asks what to do.")
    ] = 3600,
    notify_email: Annotated[str | None, typer.Option(help="Email address to notify when the run ends or asks.")] = None,
    max_cost_usd: Annotated[float | None, typer.Option(help="The run asks before it spends more than this.")] = None,
    max_model_calls: Annotated[
        int | None, typer.Option(help="The run asks before it makes more model calls than this.")
    ] = None,
    run_id: Annotated[str | None, typer.Option(help="Your own UUID. Using it twice starts only one run.")] = None,
    on_decision: Annotated[OnDecision, typer.Option(help="What to do when the run needs a decision.")] = OnDecision.ASK,
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and return immediately.")] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Start the local stack for this run, unless it is running.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Start a run and follow it to its end."""
    settings = load_settings()
    options = StartOptions(
        criteria=criteria_from_json(criteria),
        quantity=quantity,
        contacts_min=contacts_min,
        contacts_max=contacts_max,
        stage_timeout_s=stage_timeout_s,
        notify_email=notify_email,
        max_cost_usd=max_cost_usd,
        max_model_calls=max_model_calls,
        run_id=run_id,
        on_decision=on_decision,
    )
    if local and detach:
        raise UserError("--local and --detach cannot be combined: the local stack stops when this command ends")
    request = build_request(options, settings)
    check_output_dir(output_dir)
    out = Output(as_json)
    async with _services(settings, local=local, out=out) as (services, owns_stack):
        out.print(criteria_table(request))
        if services.endpoints.is_demo:
            out.print("DEMO: the companies are fictional (no model or web search of your own is set).")
        started = await start_run(services, request, checked_email(notify_email))
        run = await runs.get_run(services.conn, request.run_id)
        out.say(f"Run {run.run_id} {'started' if started else 'was started before'}")
        if run.limits != request.limits:
            out.say("This run already exists. It keeps its current limits, and the limits given now are ignored.")
        if detach:
            out.document({"run_id": str(run.run_id), "workflow_id": run.workflow_id, "status": run.status.value})
            out.say(f"Follow it with: python starter.py watch {run.short_id}")
            return 0
        return await follow_to_end(services, run, output_dir, out, on_decision=on_decision, owns_stack=owns_stack)


@asynccontextmanager
async def _services(settings: Settings, *, local: bool, out: Output) -> AsyncIterator[tuple[Services, bool]]:
    """Yield connections, and whether the local stack stops with this command."""
    if not local:
        async with open_services(settings) as services:
            yield services, False
        return
    from cli.local_stack import services_of_local_stack  # an optional extra

    configure_logging(settings.model_copy(update={"log_level": "warning"}))
    async with services_of_local_stack(settings, out) as (services, owns_stack):
        yield services, owns_stack
