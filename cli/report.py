"""A run's result in tables: searches, funnel and completeness of the delivery (docs/columns.md)."""

from itertools import zip_longest

from rich.table import Table

from cli.common import Output
from cli.render import cost_text
from domain.delivery.columns import Basis
from domain.delivery.completeness import ColumnCount, Completeness, per_company
from domain.request.search_plan import WITHOUT_MODEL
from store.runs.search_tasks import SourceYield
from usecases.status import RunView

_REASONS_SHOWN_MAX = 12  # the JSON document has the rest


def print_report(out: Output, view: RunView) -> None:
    if view.sources:
        out.print(_sources_table(view))
    if view.funnel.get("found"):
        out.print(_funnel_table(view))
    if view.completeness is not None:
        print_completeness(out, view.completeness)


def print_completeness(out: Output, report: Completeness) -> None:
    if report.companies:
        out.print(_completeness_table(report))
    for line in _completeness_lines(report):
        out.say(line)


def _completeness_table(report: Completeness) -> Table:
    """Return both files side by side: the share of filled and of proven cells in each column."""
    files = ([c for c in report.columns if c.file == "companies"], [c for c in report.columns if c.file == "contacts"])
    title = f"Completeness of {report.companies:,} companies and {report.contacts:,} contacts"
    table = Table(title=title, title_justify="left")
    for name in ("companies", "filled", "proven", "contacts", "filled", "proven"):
        table.add_column(name, justify="right" if name in {"filled", "proven"} else "left")
    for pair in zip_longest(*files):
        table.add_row(*(text for count in pair for text in _column_texts(count)))
    return table


def _completeness_lines(report: Completeness) -> list[str]:
    lines: list[str] = []
    if report.unproven:
        lines.append(f"Filled without a quote: {_counts(report.unproven)}.")
    escaped = sum(count.escaped for count in report.columns)
    if escaped:
        lines.append(f"{escaped:,} cells looked like spreadsheet formulas, so they now start with an apostrophe.")
    if report.unknown:
        lines.append(f"Not delivered because a hard criterion is unknown: {_counts(report.unknown)} (check them).")
    if report.dropped:
        lines.append(f"Dropped, by reason: {_counts(report.dropped)}.")
    each = per_company(report.model_usage, report.companies)
    if each is not None and report.model_usage.model_calls:
        cost = each["cost_usd"]
        lines.append(
            f"Per delivered company: {each['model_calls']:g} model calls, {each['input_tokens']:,.0f} tokens in,"
            f" {each['output_tokens']:,.0f} out, cost {cost_text(report.model_usage) if cost is None else f'${cost:.4f}'}."
        )
    return lines


def _column_texts(count: ColumnCount | None) -> tuple[str, str, str]:
    if count is None:
        return "", "", ""
    return count.column, _percent(count.filled_pct), _percent(count.proven_pct) if count.basis is Basis.FACT else "–"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:g} %"


def _counts(counts: dict[str, int]) -> str:
    shown = [f"{count:,} {name}" for name, count in list(counts.items())[:_REASONS_SHOWN_MAX]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more reasons" if more > 0 else "")


def _funnel_table(view: RunView) -> Table:
    table = Table("step", "companies", "lost", title="Funnel", title_justify="left")
    for step in view.funnel_steps:
        lost = ", ".join(f"{count} {reason}" for reason, count in step.lost.items())
        table.add_row(step.name, f"{step.companies:,}", lost)
    return table


def _sources_table(view: RunView) -> Table:
    columns = ("search", "done", "named", "new", "on lists", "incomplete reads", "cost", "seconds")
    table = Table(*columns, title="Searches", title_justify="left")
    for source in view.sources:
        table.add_row(
            source.kind.replace("_", " ") + (" (skipped: hardly anything new)" if source.skipped else ""),
            f"{source.done}/{source.planned}" + (f", {source.failed} failed" if source.failed else ""),
            str(source.named),
            str(source.new),
            str(source.listed),
            str(source.incomplete_reads),
            _source_cost(view, source),
            f"{source.seconds:.0f}",
        )
    return table


def _source_cost(view: RunView, source: SourceYield) -> str:
    called_model = source.done > 0 and source.kind not in WITHOUT_MODEL
    if view.model_usage.unpriced_calls and called_model and not source.cost_usd:
        return "unknown"
    return f"${source.cost_usd:.4f}"
