"""Score a run's two files: ``python -m evals.score COMPANIES.csv CONTACTS.csv [--seed N] [--pms Buildium] [--state TX]``.

A mistake is a company that must not be delivered, a wrong software or state, an invented person, or an address that is not theirs.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from domain.contact.person import person_key
from evals.gold import by_domain
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world


@dataclass(frozen=True)
class Score:
    """``recall`` is the share of the deliverable companies that fit software and state."""

    mistakes: tuple[str, ...]
    recall: float


def score(
    companies: list[dict[str, str]], contacts: list[dict[str, str]], seed: int, pms: str | None, state: str | None
) -> Score:
    table = gold_table(generate_world(seed)).companies
    gold = by_domain(table)
    mistakes: list[str] = []
    for row in companies:
        truth = gold.get(row["domain"])
        if truth is None:
            mistakes.append(f"{row['domain']}: no such company")
            continue
        if not truth.deliverable:
            mistakes.append(f"{row['domain']}: not deliverable ({truth.not_deliverable_reason})")
        if row["pms_detected"] and row["pms_detected"] != truth.pms:
            mistakes.append(f"{row['domain']}: software {row['pms_detected']}, gold {truth.pms}")
        if row["state"] != truth.state:
            mistakes.append(f"{row['domain']}: state {row['state']}, gold {truth.state}")
    for row in contacts:
        truth = gold.get(row["company_domain"])
        people = {person_key(person.full_name): person for person in truth.decision_makers} if truth else {}
        person = people.get(person_key(row["full_name"].removeprefix("'")))
        if person is None:
            mistakes.append(f"{row['company_domain']}: invented person {row['full_name']!r}")
        elif row["email"] and row["email"] != (person.email or "").lower():
            mistakes.append(f"{row['company_domain']}: {row['full_name']} has {person.email}, not {row['email']}")
    fitting = [one for one in table if one.deliverable and pms in (None, one.pms) and state in (None, one.state)]
    delivered = [gold.get(row["domain"]) for row in companies]
    recall = sum(one in delivered for one in fitting) / len(fitting) if fitting else 1.0
    return Score(tuple(mistakes), recall)


def main(
    companies_csv: Path,
    contacts_csv: Path,
    seed: Annotated[int, typer.Option()] = DEFAULT_SEED,
    pms: Annotated[str | None, typer.Option()] = "Buildium",
    state: Annotated[str | None, typer.Option()] = "TX",
) -> None:
    """Print the score. Exits 1 when a delivered row is wrong."""
    companies, contacts = _read_csv(companies_csv), _read_csv(contacts_csv)
    result = score(companies, contacts, seed, pms, state)
    print(f"companies            {len(companies)}")
    print(f"contacts             {len(contacts)}")
    print(f"recall of fitting    {result.recall:.3f}")
    print(f"mistakes             {len(result.mistakes)}")
    for mistake in result.mistakes:
        print(f"  {mistake}")
    raise typer.Exit(1 if result.mistakes else 0)


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    typer.run(main)
