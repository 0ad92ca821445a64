"""``starter.py signal``: answer a run's question."""

from typing import Annotated, Any

import typer

from cli.common import DecidedByOption, JsonOption, NoteOption, Output, RunArgument, async_command
from domain.request.decision import DecisionAction
from runtime.process import load_settings
from runtime.services import open_services
from usecases.decide import send_decision
from usecases.find import find_run


@async_command
async def signal(
    run: RunArgument,
    action: Annotated[str, typer.Argument(metavar="ACTION", help=", ".join(item.value for item in DecisionAction))],
    states: Annotated[list[str] | None, typer.Option("--state", help="expand_location: a state to add.")] = None,
    cities: Annotated[list[str] | None, typer.Option("--city", help="expand_location: a city to add.")] = None,
    radius_miles: Annotated[float | None, typer.Option(help="expand_location: the new radius.")] = None,
    whole_state: Annotated[
        bool, typer.Option("--whole-state", help="expand_location: search the whole state, not only the cities.")
    ] = False,
    pms: Annotated[list[str] | None, typer.Option(help="loosen_pms: additional software to accept.")] = None,
    pms_soft: Annotated[bool, typer.Option("--pms-soft", help="loosen_pms: make the software criterion soft.")] = False,
    units_min: Annotated[int | None, typer.Option(help="lower_units: the new minimum.")] = None,
    criterion: Annotated[
        list[str] | None, typer.Option(help="accept_unknown: a criterion that may be unknown.")
    ] = None,
    max_cost_usd: Annotated[float | None, typer.Option(help="raise_budget: the new limit.")] = None,
    max_model_calls: Annotated[int | None, typer.Option(help="raise_budget: the new limit.")] = None,
    decided_by: DecidedByOption = "command line",
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> int:
    """Answer the question that a run is waiting for."""
    out = Output(as_json)
    given: dict[str, Any] = {
        "states": states,
        "cities": cities,
        "radius_miles": radius_miles,
        "whole_state": whole_state or None,
        "pms": pms,
        "pms_soft": pms_soft or None,
        "units_min": units_min,
        "criteria": criterion,
        "max_cost_usd": max_cost_usd,
        "max_model_calls": max_model_calls,
        "note": note or None,
    }
    answer = {name: value for name, value in given.items() if value is not None}
    async with open_services(load_settings()) as services:
        row = await find_run(services.conn, run)
        await send_decision(services, row, {"action": action, "decided_by": decided_by, **answer})
    out.document({"run_id": str(row.run_id), "action": action, "accepted": True})
    out.say(f"Run {row.short_id} continues with {action}. Follow it with: python starter.py watch {row.short_id}")
    return 0
