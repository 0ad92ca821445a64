"""What two runs of one request delivered, cell by cell: is each proven, is it true, and what did it cost.

Reads and counts. A cell's proof is looked up again in ``quality_facts.py``, what is true is in ``quality_gold.py``; starting the
runs and printing is ``quality.py``.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from evals.quality_facts import (
    Fact,
    Source,
    facts_of_company,
    facts_of_contact,
    host_of,
    name_key,
    why_unproven,
    without_apostrophe,
)
from evals.quality_gold import differences, why_wrong, wrong_person, wrong_status, wrong_tier
from local.demo.truth import GoldCompany
from store.database import Connection
from store.delivery import export_rows
from store.runs import runs
from store.tools import tool_results

Row = dict[str, Any]

DECIDES_UP_TO_LEVEL = 5
"""The gold table calls a company deliverable when somebody of level 1 to 5 can be reached; maintenance (6) decides nothing."""


class Measures(BaseModel):
    """One world's figures; every tuple lists the wrong rows in words.

    Attributes:
        companies, contacts: rows of the first run's files.
        deliverable, missed_companies: companies that the gold table calls deliverable, of the software and state asked for;
            those that are not in the first run's file.
        facts, unproven: non-empty fact cells and stored facts of these rows; those whose proof does not hold.
        facts_again, unproven_again: the same of the second run's files.
        judged, wrong: facts of which the gold table has a value or says that there is none; those that differ.
        known, empty: values of delivered companies that the gold table knows and that have a cell; those left empty.
        graded, wrong_tiers: companies that were researched; those with another tier than gold's.
        wrong_people: contacts who are no decision makers of their company.
        reachable, missed_people: decision makers (to level 5) of delivered companies with a published way to reach them;
            those the run did not store with one.
        wrong_statuses: contacts whose ``email_status`` is not that of the gold table.
        injected, injected_differ: researched companies whose pages hold instructions for the model; those whose row differs.
        calls, tokens: of the model, for the first run.
        research_again: companies that the first run had researched and the second paid the model for again.
        calls_again: model calls of the second run.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    companies: int
    contacts: int
    deliverable: int
    missed_companies: tuple[str, ...]
    facts: int
    unproven: tuple[str, ...]
    facts_again: int
    unproven_again: tuple[str, ...]
    judged: int
    wrong: tuple[str, ...]
    known: int
    empty: tuple[str, ...]
    graded: int
    wrong_tiers: tuple[str, ...]
    wrong_people: tuple[str, ...]
    reachable: int
    missed_people: tuple[str, ...]
    wrong_statuses: tuple[str, ...]
    injected: int
    injected_differ: tuple[str, ...]
    calls: int
    tokens: int
    research_again: tuple[str, ...]
    research_calls_again: int
    calls_again: int


class Delivery(BaseModel):
    """A run's files with what the database holds of their rows.

    Attributes:
        cells, people_cells: rows of the companies and contacts files.
        companies: stored companies with their research by domain: the delivered, and all others that were researched.
        people: stored people by company domain and name.
    """

    cells: tuple[dict[str, str], ...]
    people_cells: tuple[dict[str, str], ...]
    companies: dict[str, Row]
    people: dict[tuple[str, str], Row]

    def facts(self) -> list[Fact]:
        """Every fact of the delivered rows."""
        found = [fact for cells in self.cells for fact in facts_of_company(cells, self.companies[cells["domain"]])]
        for cells in self.people_cells:
            found += facts_of_contact(cells, self.person(cells))
        return found

    def person(self, cells: Mapping[str, str]) -> Row:
        """The stored person behind a row of the contacts file."""
        return self.people[cells["company_domain"], name_key(without_apostrophe(cells["full_name"]))]

    def people_of(self, domain: str) -> list[Row]:
        """Everybody stored for a company, delivered or not."""
        return [row for (of, _), row in self.people.items() if of == domain]


async def measure(
    conn: Connection, seed: int, gold: list[GoldCompany], first: UUID, second: UUID, *, pms: str, state: str
) -> Measures:
    """Measure a run that asked for all companies of a software and state, and the same request asked again after it."""
    by_domain = {domain: company for company in gold for domain in (company.domain, *company.alias_domains) if domain}
    delivery, again = await load_delivery(conn, first), await load_delivery(conn, second)
    facts, facts_again, contacts = delivery.facts(), again.facts(), delivery.people_cells
    sources, hosts = await _sources(conn, [*facts, *facts_again]), await _hosts(conn)
    judged = [(fact, wrong) for fact in facts if (wrong := why_wrong(fact, by_domain.get(fact.company))) is not None]
    known, reachable = list(_known(delivery, by_domain)), list(_reachable(delivery, by_domain))
    graded = [
        (row, by_domain[domain]) for domain, row in delivery.companies.items() if row["icp"] and domain in by_domain
    ]
    injected = [(row, company) for row, company in graded if "prompt_injection" in company.traits]
    changed = [(row, differences(row, delivery.people_of(row["domain"]), company)) for row, company in injected]
    deliverable = [company for company in gold if company.deliverable and (company.pms, company.state) == (pms, state)]
    delivered = {cells["domain"] for cells in delivery.cells}
    statuses = [(cells, delivery.person(cells)["email_status"]) for cells in contacts]
    research_again = await _research_again(conn, second, delivery)
    spend, spend_again = await runs.spend(conn, first), await runs.spend(conn, second)
    return Measures(
        seed=seed,
        companies=len(delivery.cells),
        contacts=len(contacts),
        deliverable=len(deliverable),
        missed_companies=tuple(
            f"{company.name} ({company.domain})"
            for company in deliverable
            if not delivered & {company.domain, *company.alias_domains}
        ),
        facts=len(facts),
        unproven=_unproven(facts, sources, hosts),
        facts_again=len(facts_again),
        unproven_again=_unproven(facts_again, sources, hosts),
        judged=len(judged),
        wrong=tuple(f"{fact}: {wrong}" for fact, wrong in judged if wrong),
        known=len(known),
        empty=_texts(known),
        graded=len(graded),
        wrong_tiers=_texts(wrong_tier(row, company) for row, company in graded),
        wrong_people=_texts(wrong_person(cells, by_domain.get(cells["company_domain"])) for cells in contacts),
        reachable=len(reachable),
        missed_people=_texts(reachable),
        wrong_statuses=_texts(
            wrong_status(cells, status, by_domain.get(cells["company_domain"])) for cells, status in statuses
        ),
        injected=len(injected),
        injected_differ=tuple(f"{row['domain']}: {'; '.join(found)}" for row, found in changed if found),
        calls=int(spend["model_calls"]),
        tokens=int(spend["input_tokens"]) + int(spend["output_tokens"]),
        research_again=tuple(f"{row['name']} ({row['domain']}): {row['calls']} calls" for row in research_again),
        research_calls_again=sum(row["calls"] for row in research_again),
        calls_again=int(spend_again["model_calls"]),
    )


async def load_delivery(conn: Connection, run_id: UUID) -> Delivery:
    """A run's stored files and the rows behind them.

    Raises:
        LookupError: the run has no files.
    """
    files = [await export_rows.load_artifact(conn, run_id, kind) for kind in ("companies", "contacts")]
    tables: list[tuple[dict[str, str], ...]] = []
    for stored in files:
        if stored is None:
            raise LookupError(f"run {run_id} has no files: only a completed run can be measured")
        tables.append(tuple(csv.DictReader(io.StringIO(stored[0].content.decode("utf-8"), newline=""))))
    companies = await conn.execute(
        """
        SELECT c.name, c.domain, c.evidence, f.facts, f.icp FROM company_candidates c JOIN company_research f USING (company_id)
        WHERE c.run_id = %s AND f.researched AND c.domain IS NOT NULL ORDER BY c.status <> 'complete', c.position
        """,
        (run_id,),
    )
    people = await conn.execute(
        """
        SELECT c.domain, p.full_name, p.email, p.email_status, p.linkedin_url, p.person, p.rank
        FROM contact_candidates p JOIN company_candidates c USING (company_id) WHERE p.run_id = %s
        """,
        (run_id,),
    )
    by_domain: dict[str, Row] = {}
    for row in await companies.fetchall():
        by_domain.setdefault(row["domain"], row)
    return Delivery(
        cells=tables[0],
        people_cells=tables[1],
        companies=by_domain,
        people={(row["domain"], name_key(row["full_name"])): row for row in await people.fetchall()},
    )


def _texts(found: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(text for text in found if text)


def _unproven(facts: Iterable[Fact], sources: Mapping[str, Source], hosts: frozenset[str]) -> tuple[str, ...]:
    return tuple(f"{fact}: {why}" for fact in facts if (why := why_unproven(fact, sources, hosts)) is not None)


def _known(delivery: Delivery, by_domain: Mapping[str, GoldCompany]) -> Iterator[str]:
    """One text for each cell that gold could fill: empty, or what was left out."""
    for cells in delivery.cells:
        company = by_domain.get(cells["domain"])
        if company is None:
            continue
        for column, gold in (("units_estimate", company.units), ("company_type", company.company_type)):
            if gold is not None:
                yield "" if cells[column] else f"{cells['domain']}, {column}: gold has {gold}"


def _reachable(delivery: Delivery, by_domain: Mapping[str, GoldCompany]) -> Iterator[str]:
    """One text for each decision maker whom a delivered company publishes a way to: empty, or how they were missed."""
    for cells in delivery.cells:
        company = by_domain.get(cells["domain"])
        for gold in company.decision_makers if company else ():
            if not gold.reachable or gold.level > DECIDES_UP_TO_LEVEL:
                continue
            person = delivery.people.get((cells["domain"], name_key(gold.full_name)))
            if person is not None and (person["email"] or person["linkedin_url"]):
                yield ""
            else:
                how = "not stored" if person is None else "stored without a way to reach them"
                yield f"{cells['domain']}, {gold.full_name}, {gold.title}, {gold.email or gold.linkedin_url}: {how}"


async def _sources(conn: Connection, facts: Iterable[Fact]) -> dict[str, Source]:
    ids = sorted({fact.result_id for fact in facts if fact.result_id})
    sources: dict[str, Source] = {}
    for result_id, result in (await tool_results.get_results(conn, ids)).items():
        markup = await tool_results.load_body(conn, result.page_hash) if result.page_hash else ""
        addresses = json.dumps([result.args, result.payload], ensure_ascii=False)
        sources[result_id] = Source(text=result.text, markup=markup, addresses=addresses)
    return sources


async def _hosts(conn: Connection) -> frozenset[str]:
    """Hosts on which a page was read."""
    cursor = await conn.execute(
        """
        SELECT DISTINCT coalesce(payload->>'final_url', args->>'url') AS url FROM tool_results
        WHERE tool = 'fetch_page' AND status = 'ok'
        """
    )
    return frozenset(host_of(row["url"]) for row in await cursor.fetchall())


async def _research_again(conn: Connection, run_id: UUID, before: Delivery) -> list[Row]:
    """Companies of a run for which the research agent was paid, although an earlier run had researched them."""
    cursor = await conn.execute(
        """
        SELECT c.name, c.domain, count(*) AS calls
        FROM agent_turns t
        LEFT JOIN company_candidates c ON c.run_id = t.run_id AND c.company_id::text = split_part(t.subject, ' ', 2)
        WHERE t.run_id = %s AND t.role = 'company_research'
        GROUP BY c.name, c.domain ORDER BY c.domain
        """,
        (run_id,),
    )
    return [row for row in await cursor.fetchall() if row["domain"] is None or row["domain"] in before.companies]
