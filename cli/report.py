"""What a run came to, in tables for a terminal: what each kind of search brought, where companies were lost, and how
complete the delivery is (docs/completeness.md)."""

from itertools import zip_longest

from rich.console import Console
from rich.table import Table

from cli.render import cost_text
from domain.delivery.columns import Basis
from domain.delivery.completeness import ColumnCount, Completeness, per_company
from domain.request.search_plan import WITHOUT_MODEL
from store.runs.search_tasks import SourceYield
from usecases.status import RunView

_DROPPED_SHOWN = 12  # the rest is in the JSON document


def print_report(console: Console, view: RunView) -> None:
    """Every table, as soon as there is something to count."""
    if view.sources:
        console.print(sources_table(view))
    if view.funnel.get("found"):
        console.print(funnel_table(view))
    if view.completeness is not None:
        print_completeness(console, view.completeness)


def print_completeness(console: Console, report: Completeness) -> None:
    """How complete a delivery is, and what is missing from it; nothing of one that holds and left out nothing."""
    if report.companies:
        console.print(completeness_table(report))
    for line in completeness_lines(report):
        console.print(line, markup=False, highlight=False)


def completeness_table(report: Completeness) -> Table:
    """Share of the cells filled, and of the filled ones proven, column by column, both files side by side."""
    files = ([c for c in report.columns if c.file == "companies"], [c for c in report.columns if c.file == "contacts"])
    title = f"Completeness of {report.companies:,} companies and {report.contacts:,} contacts"
    table = Table(title=title, title_justify="left")
    for name in ("companies", "filled", "proven", "contacts", "filled", "proven"):
        table.add_column(name, justify="right" if name in {"filled", "proven"} else "left")
    for pair in zip_longest(*files):
        table.add_row(*(text for count in pair for text in _column_texts(count)))
    return table


def completeness_lines(report: Completeness) -> list[str]:
    """What the table cannot say: why companies and claims are missing, and what a delivered company has taken."""
    lines: list[str] = []
    if report.unproven:
        lines.append(f"Filled without words of their own: {_counts(report.unproven)}.")
    escaped = sum(count.escaped for count in report.columns)
    if escaped:
        lines.append(f"{escaped:,} cells would be formulas in a spreadsheet: an apostrophe was put before them.")
    if report.unknown:
        lines.append(f"Kept out, since a hard criterion is unknown: {_counts(report.unknown)} (they need a look).")
    if report.dropped:
        lines.append(f"Left out, by reason: {_counts(report.dropped)}.")
    each = per_company(report.model_usage, report.companies)
    if each is not None and report.model_usage.model_calls:
        cost = each["cost_usd"]
        lines.append(
            f"Per delivered company: {each['model_calls']:g} model calls, {each['input_tokens']:,.0f} tokens in,"
            f" {each['output_tokens']:,.0f} out, cost {cost_text(report.model_usage) if cost is None else f'${cost:.4f}'}."
        )
    return lines


def _source_cost(view: RunView, source: SourceYield) -> str:
    has_asked = source.done > 0 and source.kind not in WITHOUT_MODEL
    return (
        "unknown"
        if view.model_usage.unpriced_calls and has_asked and not source.cost_usd
        else f"${source.cost_usd:.4f}"
    )


def _column_texts(count: ColumnCount | None) -> tuple[str, str, str]:
    if count is None:
        return "", "", ""
    proven = _percent(count.proven_pct) if count.basis is Basis.FACT else "–"
    return count.column, _percent(count.filled_pct), proven


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:g} %"


def _counts(counts: dict[str, int]) -> str:
    shown = [f"{count:,} {name}" for name, count in list(counts.items())[:_DROPPED_SHOWN]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more reasons" if more > 0 else "")


def funnel_table(view: RunView) -> Table:
    """Where companies were lost step by step, and what each kind of search came to."""
    table = Table("step", "companies", "lost", title="Funnel", title_justify="left")
    for step in view.funnel_steps:
        table.add_row(
            step.name, f"{step.companies:,}", ", ".join(f"{count} {reason}" for reason, count in step.lost.items())
        )
    return table


def sources_table(view: RunView) -> Table:
    """What each kind of search came to, cheapest kind first."""
    columns = ("search", "done", "named", "new", "on lists", "poor reads", "cost", "seconds")
    table = Table(*columns, title="Searches", title_justify="left")
    for source in view.sources:
        done = f"{source.done}/{source.planned}" + (f", {source.failed} failed" if source.failed else "")
        table.add_row(
            source.kind.replace("_", " ") + (" (given up: hardly anything new)" if source.skipped else ""),
            done,
            str(source.named),
            str(source.new),
            str(source.listed),
            str(source.incomplete_reads),
            _source_cost(view, source),
            f"{source.seconds:.0f}",
        )
    return table
