"""Criteria, progress and questions for a terminal."""

from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.common import Output
from domain.delivery.completeness import ModelUsage
from domain.request.criteria_words import criteria_in_words, request_in_words
from domain.request.decision import DecisionRequest
from domain.request.progress import Stage
from domain.request.run_request import RunRequest
from store.runs.runs import RunRow
from usecases.decide import signal_command
from usecases.status import RunView

_CRITERION_OF = {
    "states": "place",
    "cities": "place",
    "zip": "place",
    "radius_miles": "place",
    "units_min": "units",
    "units_max": "units",
}


def criteria_table(request: RunRequest) -> Table:
    """Return the request as a table, with the mode of each criterion."""
    table = Table("criterion", "value", "mode", title="The request as understood", title_justify="left")
    described: dict[str, Any] = request.criteria.described()
    described.pop("modes", None)
    modes = {str(key): request.criteria.mode_of(key).value for key in request.criteria.asked()}
    for name, value in described.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        criterion = _CRITERION_OF.get(name, name)
        table.add_row(criterion, shown, modes.get(criterion, ""))
    table.add_row("companies", f"{request.target_quantity:,}", "")
    table.add_row("contacts per company", f"{request.contacts_min} to {request.contacts_max}", "")
    if request.limits.max_cost_usd is not None:
        table.add_row("cost limit", f"${request.limits.max_cost_usd:g}", "")
    if request.limits.max_model_calls is not None:
        table.add_row("model call limit", f"{request.limits.max_model_calls:,}", "")
    return table


def progress_panel(view: RunView, *, is_demo: bool) -> RenderableType:
    run = view.run
    stages = Text(" → ", style="dim").join(
        Text(stage.value, style="bold cyan" if stage is view.stage else "dim") for stage in Stage
    )
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        "companies",
        ProgressBar(total=run.target_quantity, completed=view.companies_ready, width=30),
        f"{view.companies_ready}/{run.target_quantity} {_percent_ready(view)} %",
    )
    wanted = request_in_words(run.target_quantity, run.criteria)
    if run.criteria != run.criteria_asked:
        wanted += f" (amended; requested: {criteria_in_words(run.criteria_asked)})"
    parts: list[RenderableType] = [Text(wanted), stages, bar, Text(counts_line(view))]
    if view.funnel:
        parts.append(Text("funnel: " + funnel_line(view.funnel), style="dim"))
    if view.surplus:
        parts.append(Text(surplus_line(view)))
    # An open question shows its own problem.
    if view.refused and (view.decision is None or view.decision.problem is None):
        last = view.refused[0]
        to = f" to {last.decision_id}" if last.decision_id else ""
        parts.append(Text(f"An answer{to} was refused on {last.at:%Y-%m-%d %H:%M} UTC: {last.problem}", style="yellow"))
    if view.why_nothing_moves:
        parts.append(Text(view.why_nothing_moves, style="yellow"))
    if is_demo:
        parts.append(Text("DEMO: the companies are fictional", style="magenta"))
    return Group(*parts)


def progress_line(view: RunView) -> str:
    ready = f"{view.companies_ready}/{view.run.target_quantity} {_percent_ready(view)} %"
    return f"{view.stage.value}: companies {ready} · {counts_line(view)}"


def counts_line(view: RunView) -> str:
    """Return contacts, open work and cost in one line."""
    run, live = view.run, view.live
    gap = max(0, run.target_quantity - view.companies_ready)
    text = f"contacts {view.contacts_ready} · gap {gap} · status {run.status.value}"
    if live is not None and not view.has_ended:
        text += (
            f" · open: {live.open_discovery} searches, {live.open_research} in research,"
            f" {live.open_contacts} in contacts, {live.queued} waiting"
        )
    return f"{text} · model calls {view.model_calls} · cost {cost_text(view.model_usage)}"


def cost_text(usage: ModelUsage) -> str:
    """Return the cost in US dollars, or "unknown" if the price of a call is unknown."""
    if not usage.unpriced_calls:
        return f"${usage.cost_usd:.4f}"
    some = usage.unpriced_calls < usage.model_calls
    which = (
        f" for {usage.unpriced_calls} of {usage.model_calls} calls; the others ${usage.cost_usd:.4f}" if some else ""
    )
    return f"unknown{which} (set MODEL_PRICE_INPUT_USD_PER_MTOK and MODEL_PRICE_OUTPUT_USD_PER_MTOK)"


def funnel_line(funnel: dict[str, int]) -> str:
    """Return the number of companies by how they ended, largest number first."""
    ends = sorted(((name, count) for name, count in funnel.items() if name != "found"), key=lambda item: -item[1])
    return f"{funnel.get('found', 0)} found: " + ", ".join(f"{count} {name}" for name, count in ends)


def surplus_line(view: RunView) -> str:
    """Say why the funnel counts more complete companies than the files contain."""
    are = "company is" if view.surplus == 1 else "companies are"
    return (
        f"{view.surplus:,} more {are} complete than the {view.companies_ready:,} delivered. Later runs can use "
        f"{'it' if view.surplus == 1 else 'them'}."
    )


def print_question(out: Output, run: RunRow, question: DecisionRequest, link: str | None) -> None:
    """Print the open question, its options, and the command for each option."""
    out.print(f"\n[bold yellow]NEEDS USER DECISION[/] {question.decision_id} ({question.reason.value})")
    out.say(question.message)
    out.say(funnel_line(question.funnel), "dim")
    for number, option in enumerate(question.options, start=1):
        expected = f" ({option.expectation})" if option.expectation else ""
        out.say(f"  {number}  {option.description}{expected}")
        out.say(f"     {signal_command(run, option)}", "cyan")
    until = f"{question.deadline:%Y-%m-%d %H:%M} UTC"
    out.say(f"If nobody answers by {until}: {question.default.value}. The run buys nothing while it waits.")
    if question.problem:
        out.say(f"The last answer was refused: {question.problem}", "red")
    if link:
        out.say(f"Web UI: {link}")


def _percent_ready(view: RunView) -> int:
    return view.companies_ready * 100 // view.run.target_quantity
