"""The command line: start and follow runs, answer their questions, export, and run the embedded stack.

Exit codes: 0 completed, 2 bad input, 3 waiting for a decision, 4 failed, 5 cancelled. With ``--json`` a command prints one JSON
document on standard output and nothing else.
"""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.accept import accept_command
from cli.evidence import evidence_command
from cli.export import export_command
from cli.follow import Detached, follow_to_end, print_json
from cli.forget import forget_command
from cli.import_files import import_command
from cli.redetect import redetect_command
from cli.render import criteria_table, print_question, progress_panel, run_document, runs_table
from cli.report import print_report
from domain.request.decision import DecisionAction
from domain.request.run_request import OnDecision
from runtime.logs import configure_logging
from runtime.process import UserError, leave, load_settings, run_async
from runtime.services import Services, open_database, open_services
from settings import Settings
from store.runs import runs
from usecases.decide import cancel_run, send_decision
from usecases.find_run import find_run
from usecases.pipeline import (
    PipelineError,
    PipelineTimeoutError,
    execute_full_pipeline,
    export_companies_to_csv,
    export_contacts_to_csv,
    export_run_to_files,
    get_run_progress,
    wait_for_stage_completion,
)
from usecases.start import StartOptions, build_request, check_output_dir, checked_email, criteria_from_json, start_run
from usecases.status import view_run

__all__ = [
    "PipelineError",
    "PipelineTimeoutError",
    "app",
    "execute_full_pipeline",
    "export_companies_to_csv",
    "export_contacts_to_csv",
    "export_run_to_files",
    "get_run_progress",
    "wait_for_stage_completion",
]

EXIT_INTERRUPTED = 130  # what shells give for Ctrl-C

app = typer.Typer(
    help="Lists of property management companies and their decision makers, every cell proven.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, its first 8 characters, or the workflow id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]
DirectoryOption = Annotated[Path, typer.Option("--output-dir", help="Where the CSV files are written.")]


@app.command()
def start(
    criteria: Annotated[str, typer.Option(help='JSON, such as \'{"pms": "Buildium", "state": "TX"}\'.')],
    quantity: Annotated[str | None, typer.Option(help="Complete companies wanted, 1 to 10,000.")] = None,
    contacts_min: Annotated[int, typer.Option(help="Contacts per company, at least.")] = 1,
    contacts_max: Annotated[int, typer.Option(help="Contacts per company, at most.")] = 3,
    output_dir: DirectoryOption = Path("./exports"),
    timeout: Annotated[int, typer.Option(help="Seconds a stage may take before the run asks.")] = 3600,
    notify_email: Annotated[str | None, typer.Option(help="Told when the run ends or needs a decision.")] = None,
    max_cost_usd: Annotated[float | None, typer.Option(help="The run asks before it spends more.")] = None,
    max_model_calls: Annotated[
        int | None, typer.Option(help="The run asks before it calls the model more often.")
    ] = None,
    run_id: Annotated[str | None, typer.Option(help="A UUID of your own; starting it twice starts one run.")] = None,
    on_decision: Annotated[OnDecision, typer.Option(help="What to do when the run needs a decision.")] = OnDecision.ASK,
    detach: Annotated[bool, typer.Option("--detach", help="Start and return at once.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Run the embedded stack just for this run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a run and follow it to its end."""
    settings = load_settings()
    options = StartOptions(
        criteria=criteria_from_json(criteria),
        quantity=quantity,
        contacts_min=contacts_min,
        contacts_max=contacts_max,
        stage_timeout_s=timeout,
        notify_email=notify_email,
        max_cost_usd=max_cost_usd,
        max_model_calls=max_model_calls,
        run_id=run_id,
        on_decision=on_decision,
    )
    if local and detach:
        raise UserError("--local runs the stack for as long as this command; it cannot be given with --detach")
    request = build_request(options, settings)
    check_output_dir(output_dir)
    console = _console(as_json)

    async def work() -> int:
        async with _services(settings, local=local, console=console) as services:
            console.print(criteria_table(request))
            if services.endpoints.is_demo:
                console.print("DEMO: the companies are fictional (no model or web search of your own is set).")
            started = await start_run(services, request, checked_email(notify_email))
            run = await runs.get_run(services.conn, request.run_id)
            short = str(run.run_id)[:8]
            console.print(f"Run {run.run_id} {'started' if started else 'was started before'}")
            if run.limits != request.limits:
                console.print("It was stored before: the limits that are in force for it stay, whatever was given now.")
            if detach:
                if as_json:
                    print_json({"run_id": str(run.run_id), "workflow_id": run.workflow_id, "status": run.status.value})
                console.print(f"Follow it with: python starter.py watch {short}")
                return 0
            return await follow_to_end(services, run, output_dir, console, as_json=as_json, on_decision=on_decision)

    _exit(work())


@app.command()
def watch(run: RunArgument, output_dir: DirectoryOption = Path("./exports"), as_json: JsonOption = False) -> None:
    """Follow a run to its end and write its files."""
    console = _console(as_json)
    check_output_dir(output_dir)

    async def work() -> int:
        async with open_services(load_settings()) as services:
            row = await find_run(services.conn, run)
            on_decision = OnDecision.WAIT if as_json else OnDecision.ASK
            return await follow_to_end(services, row, output_dir, console, as_json=as_json, on_decision=on_decision)

    _exit(work())


@app.command()
def status(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show where a run stands."""
    console = _console(as_json)

    async def work() -> int:
        async with open_services(load_settings()) as services:
            view = await view_run(services, await find_run(services.conn, run), report=True)
            if as_json:
                print_json(view.document())
            console.print(f"Run {view.run.run_id}")
            console.print(progress_panel(view, is_demo=services.endpoints.is_demo))
            print_report(console, view)
            if view.run.notes:
                console.print(view.run.notes, markup=False)
            if view.decision is not None and view.stranded is None:
                print_question(console, view.run, view.decision, services.link(view.run.workflow_id))
        return 0

    _exit(work())


@app.command("list")
def list_command(
    as_json: JsonOption = False, limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50
) -> None:
    """List the newest runs."""
    console = _console(as_json)

    async def work() -> int:
        async with open_database(load_settings()) as conn:
            rows = await runs.list_runs(conn, limit)
        if as_json:
            print_json({"runs": [run_document(row) for row in rows]})
        console.print(runs_table(rows) if rows else "No runs yet. Start one with: python starter.py start --help")
        return 0

    _exit(work())


@app.command()
def signal(
    run: RunArgument,
    action: Annotated[str, typer.Argument(metavar="ACTION", help=", ".join(item.value for item in DecisionAction))],
    states: Annotated[list[str] | None, typer.Option("--state", help="expand_location: a state to add.")] = None,
    cities: Annotated[list[str] | None, typer.Option("--city", help="expand_location: a city to add.")] = None,
    radius_miles: Annotated[float | None, typer.Option(help="expand_location: the new radius.")] = None,
    whole_state: Annotated[bool, typer.Option("--whole-state", help="expand_location: drop the cities.")] = False,
    pms: Annotated[list[str] | None, typer.Option(help="loosen_pms: software to accept as well.")] = None,
    pms_soft: Annotated[bool, typer.Option("--pms-soft", help="loosen_pms: make the software soft.")] = False,
    units_min: Annotated[int | None, typer.Option(help="lower_units: the new minimum.")] = None,
    criterion: Annotated[list[str] | None, typer.Option(help="accept_unknown: what may be unknown.")] = None,
    max_cost_usd: Annotated[float | None, typer.Option(help="raise_budget: the new limit.")] = None,
    max_model_calls: Annotated[int | None, typer.Option(help="raise_budget: the new limit.")] = None,
    decided_by: Annotated[str, typer.Option(help="Who decides, for the audit trail.")] = "command line",
    note: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Answer the question that a run waits with."""
    given: dict[str, Any] = {
        "states": states,
        "cities": cities,
        "radius_miles": radius_miles,
        "whole_state": whole_state,
        "pms": pms,
        "pms_soft": pms_soft,
        "units_min": units_min,
        "criteria": criterion,
        "max_cost_usd": max_cost_usd,
        "max_model_calls": max_model_calls,
        "note": note,
    }
    # A minimum of 0 units is an answer; an option that was not given is not.
    answer = {name: value for name, value in given.items() if value is not None and value is not False and value != ""}
    console = _console(as_json)

    async def work() -> int:
        async with open_services(load_settings()) as services:
            row = await find_run(services.conn, run)
            await send_decision(services, row, {"action": action, "decided_by": decided_by, **answer})
            if as_json:
                print_json({"run_id": str(row.run_id), "action": action, "accepted": True})
            short = str(row.run_id)[:8]
            console.print(f"Run {short} goes on with {action}. Follow it with: python starter.py watch {short}")
        return 0

    _exit(work())


@app.command()
def cancel(run: RunArgument, as_json: JsonOption = False) -> None:
    """Cancel a run. What it found is kept and can be exported."""
    console = _console(as_json)

    async def work() -> int:
        async with open_services(load_settings()) as services:
            row = await find_run(services.conn, run)
            await cancel_run(services, row)
            short = str(row.run_id)[:8]
            if as_json:
                print_json({"run_id": str(row.run_id), "cancel_requested": True})
            console.print(f"Run {short} is being cancelled. Export what it found: python starter.py export {short}")
        return 0

    _exit(work())


app.command("export")(export_command)
app.command("evidence")(evidence_command)
app.command("accept")(accept_command)
app.command("import")(import_command)
app.command("redetect")(redetect_command)
app.command("forget")(forget_command)


@app.command()
def setup(as_json: JsonOption = False) -> None:
    """Apply migrations and register search attributes; safe to run at any time."""
    console = _console(as_json)

    async def work() -> int:
        from usecases.doctor import set_up

        done = await set_up(load_settings())
        if as_json:
            print_json(done)
        for name, items in done.items():
            console.print(f"{name}: {', '.join(items) or 'nothing to do'}")
        return 0

    _exit(work())


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what is reachable, what is missing and what to do about it. Exits 1 when something is missing."""
    console = _console(as_json)

    async def work() -> int:
        from usecases.doctor import examine  # what it asks, no other command needs

        findings = await examine(load_settings())
        if as_json:
            print_json({"findings": [finding.model_dump() for finding in findings]})
        for finding in findings:
            console.print("[green]ok[/]     " if finding.ok else "[red]missing[/]", end=" ")
            console.print(f"{finding.part}: {finding.detail}", markup=False, highlight=False, soft_wrap=True)
        return 0 if all(finding.ok for finding in findings) else 1

    _exit(work())


@app.command("local")
def local_command(
    workers: Annotated[int | None, typer.Option(min=1, max=32, help="How many workers.")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="Where its data is kept (LOCAL_DIR).")] = None,
    temporal_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: a free one.")] = None,
    ui_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: the last one, if it is free.")] = None,
    postgres_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: a free one.")] = None,
) -> None:
    """Run the embedded stack until Ctrl-C. Its data stays; runs that are open go on at the next start."""
    # The embedded stack is an extra that servers do not install.
    from cli.local import run_local_stack
    from runtime.local_session import stack_options

    settings = load_settings()
    configure_logging(settings)
    options = stack_options(
        settings,
        directory=directory,
        workers=workers,
        temporal_port=temporal_port,
        ui_port=ui_port,
        postgres_port=postgres_port,
    )
    _exit(run_local_stack(options, _console(as_json=False)))


def _services(settings: Settings, *, local: bool, console: Console) -> AbstractAsyncContextManager[Services]:
    """Connections to what is configured or running; with ``local``, if need be to a stack of this command's own."""
    if not local:
        return open_services(settings)
    from cli.local import services_of_own_stack

    configure_logging(settings.model_copy(update={"log_level": "warning"}))
    return services_of_own_stack(settings, console)


def _console(as_json: bool) -> Console:
    """Where people read: standard output, or nowhere when a program reads it."""
    # Not a terminal: wide enough for a table to stay readable in a log.
    return Console(quiet=as_json, width=None if sys.stdout.isatty() else 160)


def _exit(work: Coroutine[Any, Any, int]) -> None:
    """Run a command's work and end the command with its exit code."""
    raise typer.Exit(run_async(work))


def main() -> int:
    """Run the command line; the process's exit code."""
    as_json = "--json" in sys.argv
    try:
        result = app(standalone_mode=False)
    except UserError as error:
        _say_error(str(error), as_json=as_json)
        return error.exit_code
    except typer.TyperException as error:
        if message := error.format_message():  # without any word, the help was printed instead
            _say_error(message, as_json=as_json)
        return error.exit_code
    except Detached as left:
        sys.stderr.write(f"\n{left}\n")
        return EXIT_INTERRUPTED
    except (typer.Abort, KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("\nInterrupted.\n")
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else 0


def _say_error(message: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"error": message})
    else:
        sys.stderr.write(f"error: {message}\n")


if __name__ == "__main__":
    code = 0
    with contextlib.suppress(BrokenPipeError):  # the reader of a pipe may leave early, as `head` does
        code = main()
    leave(code)
