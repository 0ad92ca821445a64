"""Score a run's two files against the demo's gold table.

    python -m evals.score COMPANIES.csv CONTACTS.csv [--seed N] [--pms Buildium] [--state TX]

Prints a table and exits 1 when a delivered row is wrong: a company that is not deliverable, a wrong software, an invented
person, an address that is not theirs.
"""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict

from domain.contact.person import person_key
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world


class Score(BaseModel):
    """What is right and wrong in a delivery. Shares are of 1."""

    model_config = ConfigDict(frozen=True)

    companies: int
    contacts: int
    mistakes: tuple[str, ...]
    units_filled: int
    units_right: int
    type_right: int
    recall: float


def score(
    companies: list[dict[str, str]], contacts: list[dict[str, str]], seed: int, pms: str | None, state: str | None
) -> Score:
    """Compare rows with gold. ``recall``: delivered of all deliverable companies that fit pms and state."""
    gold = gold_table(generate_world(seed)).companies
    by_domain: dict[str, GoldCompany] = {}
    for company in gold:
        for domain in (company.domain, *company.alias_domains):
            if domain:
                by_domain[domain] = company
    mistakes: list[str] = []
    units_filled = units_right = type_right = 0
    for row in companies:
        truth = by_domain.get(row["domain"])
        if truth is None:
            mistakes.append(f"{row['domain']}: no such company")
            continue
        if not truth.deliverable:
            mistakes.append(f"{row['domain']}: not deliverable ({truth.not_deliverable_reason})")
        if row["pms_detected"] and row["pms_detected"] != truth.pms:
            mistakes.append(f"{row['domain']}: software {row['pms_detected']}, gold {truth.pms}")
        if row["state"] != truth.state:
            mistakes.append(f"{row['domain']}: state {row['state']}, gold {truth.state}")
        units_filled += bool(row["units_estimate"])
        units_right += row["units_estimate"] == ("" if truth.units is None else str(truth.units))
        type_right += row["company_type"] == truth.company_type
    for row in contacts:
        truth = by_domain.get(row["company_domain"])
        people = {person_key(p.full_name): p for p in truth.decision_makers} if truth else {}
        person = people.get(person_key(row["full_name"].removeprefix("'")))
        if person is None:
            mistakes.append(f"{row['company_domain']}: invented person {row['full_name']!r}")
        elif row["email"] and row["email"] != (person.email or "").lower():
            mistakes.append(f"{row['company_domain']}: {row['full_name']} has {person.email}, not {row['email']}")
    fitting = [
        c for c in gold if c.deliverable and (pms is None or c.pms == pms) and (state is None or c.state == state)
    ]
    delivered = {by_domain[row["domain"]].name for row in companies if row["domain"] in by_domain}
    recall = sum(c.name in delivered for c in fitting) / len(fitting) if fitting else 1.0
    return Score(
        companies=len(companies),
        contacts=len(contacts),
        mistakes=tuple(mistakes),
        units_filled=units_filled,
        units_right=units_right,
        type_right=type_right,
        recall=recall,
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a delivered file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(
    companies_csv: Path,
    contacts_csv: Path,
    seed: Annotated[int, typer.Option()] = DEFAULT_SEED,
    pms: Annotated[str | None, typer.Option()] = "Buildium",
    state: Annotated[str | None, typer.Option()] = "TX",
) -> None:
    """Print the score."""
    result = score(read_csv(companies_csv), read_csv(contacts_csv), seed, pms, state)
    print(f"companies            {result.companies}")
    print(f"contacts             {result.contacts}")
    print(f"recall of fitting    {result.recall:.3f}")
    print(f"units right          {result.units_right}/{result.companies} ({result.units_filled} filled)")
    print(f"type right           {result.type_right}/{result.companies}")
    print(f"mistakes             {len(result.mistakes)}")
    for mistake in result.mistakes:
        print(f"  {mistake}")
    sys.exit(1 if result.mistakes else 0)


if __name__ == "__main__":
    typer.run(main)
