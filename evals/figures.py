"""Measured figures, their targets, and the Markdown table of them."""

import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Figure:
    """One line of a table. ``wanted`` is its target in words, ``rows`` are what is wrong, one by one."""

    name: str
    text: str
    wanted: str = ""
    is_met: bool = True
    rows: Sequence[str] = ()


def none(name: str, number: int, of: str = "", rows: Sequence[str] = ()) -> Figure:
    """A number that has to be 0."""
    return Figure(name, f"{number}{of}", "0", not number, rows)


def none_of(name: str, rows: Sequence[str]) -> Figure:
    return none(name, len(rows), rows=rows)


def all_of(name: str, right: int, whole: int) -> Figure:
    return Figure(name, f"{right} of {whole}", "all", right == whole)


def right(name: str, whole: int, wrong: Iterable[str | None], at_least: float) -> Figure:
    """The share that is right; ``wrong`` may hold nothing for what is right. Missed if nothing was there to measure."""
    rows = [row for row in wrong if row]
    part = whole - len(rows)
    share = part / whole if whole else 0.0
    wanted = "1" if at_least == 1 else f"≥ {at_least:g}"
    return Figure(name, f"{share:.3f} ({part:,}/{whole:,})", wanted, bool(whole) and share >= at_least, rows)


def wrong(name: str, part: int, whole: int, at_most: float, rows: Sequence[str] = ()) -> Figure:
    """The share that is wrong. Missed if nothing was there to measure."""
    share = part / whole if whole else 0.0
    text = f"{share:.2%} ({part:,}/{whole:,})"
    return Figure(name, text, f"≤ {at_most:.0%}", bool(whole) and share <= at_most, rows)


def table(columns: Mapping[str, Sequence[Figure]], how: str) -> str:
    """Columns side by side, below a line that says when, where and how they were measured. Missed targets are bold."""
    machine = f"{os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()})"
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine}, {how}.",
        "",
        f"| figure | wanted | {' | '.join(columns)} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for row in zip(*columns.values(), strict=True):
        cells = [figure.text if figure.is_met else f"**{figure.text}**" for figure in row]
        lines.append(f"| {row[0].name} | {row[0].wanted} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def report(figures: Sequence[Figure], how: str) -> int:
    """Print figures, and on stderr what is wrong. Returns the exit code: 0 if every target is met, and there was one."""
    print(table({"measured": figures}, how))
    print_rows(figures)
    return 0 if any(figure.wanted for figure in figures) and all(figure.is_met for figure in figures) else 1


def print_rows(figures: Sequence[Figure]) -> None:
    for figure in figures:
        for row in figure.rows:
            print(f"  {figure.name}: {row}", file=sys.stderr)
