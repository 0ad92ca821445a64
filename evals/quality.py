"""Is what a run delivers proven and true? ``python -m evals.quality [SEED…] [--into FILE]``.

Every delivered cell is compared with its stored proof (``proof.py``) and with the demo's truth (``gold.py``).
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from evals.figures import Figure, none_of, right, wrong
from evals.gold import differences, why_wrong, wrong_person, wrong_status, wrong_tier
from evals.harness import command
from evals.proof import (
    Fact,
    Source,
    facts_of_company,
    facts_of_contact,
    host_of,
    name_key,
    why_unproven,
    without_apostrophe,
)
from evals.worlds import Into, Measured, Row, Seeds, evaluate
from local.demo.truth import GoldCompany
from store.delivery import export_rows
from store.runs import runs
from store.tools import tool_results

SEEDS = (13, 58, 211, 606, 909)
_LEVEL_MAX = 5  # the truth calls a company deliverable if somebody of level 1 to 5 can be reached


def main(seeds: Seeds = None, into: Into = None) -> None:
    """Measure the quality of deliveries in demo worlds. Exits 1 when a target is missed."""
    evaluate("quality", seeds or SEEDS, into, measure)


@dataclass
class Delivery:
    """The rows of a run's two files, and the stored companies (by domain) and people (by domain and name)."""

    cells: list[dict[str, str]]
    people_cells: list[dict[str, str]]
    companies: dict[str, Row]
    people: dict[tuple[str, str], Row]

    def facts(self) -> list[Fact]:
        found = [fact for cells in self.cells for fact in facts_of_company(cells, self.companies[cells["domain"]])]
        return found + [fact for cells in self.people_cells for fact in facts_of_contact(cells, self.person(cells))]

    def person(self, cells: Mapping[str, str]) -> Row:
        return self.people[cells["company_domain"], name_key(without_apostrophe(cells["full_name"]))]


async def measure(world: Measured) -> list[Figure]:
    gold = world.gold
    delivery, again = await _delivery(world, world.first), await _delivery(world, world.second)
    facts, facts_again, contacts = delivery.facts(), again.facts(), delivery.people_cells
    sources, hosts = await _sources(world, [*facts, *facts_again]), await _hosts(world)
    judged = [(fact, why) for fact in facts if (why := why_wrong(fact, gold.get(fact.company))) is not None]
    graded = [(row, gold[key]) for key, row in delivery.companies.items() if row["icp"] and key in gold]
    delivered = {cells["domain"] for cells in delivery.cells}
    missed = [f"{c.name} ({c.domain})" for c in world.fitting if not delivered & {c.domain, *c.alias_domains}]
    wrong_facts = [f"{fact}: {why}" for fact, why in judged if why]
    filled, reachable = list(_filled(delivery, gold)), list(_reachable(delivery, gold))
    of_company = [(cells, gold.get(cells["company_domain"])) for cells in contacts]
    injected = [(row, company) for row, company in graded if "prompt_injection" in company.traits]
    spend, spend_again = await runs.spend(world.conn, world.first), await runs.spend(world.conn, world.second)
    tokens, rows = int(spend["input_tokens"]) + int(spend["output_tokens"]), max(1, len(delivery.cells))
    return [
        right("deliverable companies of the truth that are in the file", len(world.fitting), missed, 0.95),
        right(
            "fact cells whose words stand in the result they cite and hold the value",
            len(facts),
            _unproven(facts, sources, hosts),
            1,
        ),
        right("the same, in the files of the second run", len(facts_again), _unproven(facts_again, sources, hosts), 1),
        wrong("facts that differ from the truth", len(wrong_facts), len(judged), 0.01, wrong_facts),
        Figure("units and type left empty though known", f"{filled.count(False)} of {len(filled)}"),
        right(
            "tier of the profile as in the truth",
            len(graded),
            (wrong_tier(row, company) for row, company in graded),
            0.95,
        ),
        right(
            "contacts who are decision makers of their company",
            len(contacts),
            (wrong_person(cells, company) for cells, company in of_company),
            1,
        ),
        right(
            "published decision makers (to level 5) found with a way to reach them",
            len(reachable),
            reachable,
            0.9,
        ),
        right(
            "`email_status` right",
            len(contacts),
            (wrong_status(c, delivery.person(c)["email_status"], company) for c, company in of_company),
            0.98,
        ),
        right(
            "companies with instructions for the model whose row is true",
            len(injected),
            (_changed(row, company, delivery) for row, company in injected),
            1,
        ),
        none_of("companies researched again by the second run", await _researched_again(world, delivery)),
        Figure("companies and contacts delivered", f"{len(delivery.cells)}, {len(contacts)}"),
        Figure("model calls a delivered company", f"{spend['model_calls'] / rows:.1f} ({spend['model_calls']:,})"),
        Figure("tokens a delivered company", f"{tokens / rows:,.0f} ({tokens:,})"),
        Figure("model calls of the second run", f"{spend_again['model_calls']:,}"),
    ]


async def _delivery(world: Measured, run_id: UUID) -> Delivery:
    companies = await world.rows(
        """
        SELECT c.name, c.domain, c.evidence, f.facts, f.icp FROM company_candidates c JOIN company_research f USING (company_id)
        WHERE c.run_id = %s AND f.researched AND c.domain IS NOT NULL ORDER BY c.status = 'complete', c.position DESC
        """,
        run_id,
    )
    people = await world.rows(
        """
        SELECT c.domain, p.full_name, p.email, p.email_status, p.linkedin_url, p.person, p.rank
        FROM contact_candidates p JOIN company_candidates c USING (company_id) WHERE p.run_id = %s
        """,
        run_id,
    )
    return Delivery(
        await _file(world, run_id, "companies"),
        await _file(world, run_id, "contacts"),
        {row["domain"]: row for row in companies},  # of several for one domain the last, the delivered one, counts
        {(row["domain"], name_key(row["full_name"])): row for row in people},
    )


async def _file(world: Measured, run_id: UUID, kind: str) -> list[dict[str, str]]:
    stored = await export_rows.load_artifact(world.conn, run_id, kind)
    if stored is None:
        raise LookupError(f"run {run_id} has no {kind} file")
    return list(csv.DictReader(io.StringIO(stored[0].content.decode("utf-8"), newline="")))


def _unproven(facts: Iterable[Fact], sources: Mapping[str, Source], hosts: frozenset[str]) -> Iterator[str]:
    for fact in facts:
        if (why := why_unproven(fact, sources, hosts)) is not None:
            yield f"{fact}: {why}"


def _filled(delivery: Delivery, gold: Mapping[str, GoldCompany]) -> Iterator[bool]:
    """Whether units and type are filled, for each that the truth knows."""
    for cells in delivery.cells:
        if company := gold.get(cells["domain"]):
            for column, truth in (("units_estimate", company.units), ("company_type", company.company_type)):
                if truth is not None:
                    yield bool(cells[column])


def _reachable(delivery: Delivery, gold: Mapping[str, GoldCompany]) -> Iterator[str]:
    """For each published decision maker of a delivered company: who is missing, or "" if stored and reachable."""
    for cells in delivery.cells:
        company = gold.get(cells["domain"])
        for person in company.decision_makers if company else ():
            if person.reachable and person.level <= _LEVEL_MAX:
                stored = delivery.people.get((cells["domain"], name_key(person.full_name)))
                found = stored is not None and (stored["email"] or stored["linkedin_url"])
                yield "" if found else f"{cells['domain']}, {person.full_name}, {person.title}"


def _changed(row: Row, company: GoldCompany, delivery: Delivery) -> str | None:
    people = [person for (domain, _), person in delivery.people.items() if domain == row["domain"]]
    found = differences(row, people, company)
    return f"{row['domain']}: {'; '.join(found)}" if found else None


async def _sources(world: Measured, facts: Iterable[Fact]) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    ids = sorted({fact.result_id for fact in facts if fact.result_id})
    for result_id, result in (await tool_results.get_results(world.conn, ids)).items():
        markup = await tool_results.load_body(world.conn, result.page_hash) if result.page_hash else ""
        addresses = json.dumps([result.args, result.payload], ensure_ascii=False)
        sources[result_id] = Source(text=result.text, markup=markup, addresses=addresses)
    return sources


async def _hosts(world: Measured) -> frozenset[str]:
    """Hosts on which a page was read."""
    rows = await world.rows(
        """
        SELECT DISTINCT coalesce(payload->>'final_url', args->>'url') AS url FROM tool_results
        WHERE tool = 'fetch_page' AND status = 'ok'
        """
    )
    return frozenset(host_of(row["url"]) for row in rows)


async def _researched_again(world: Measured, before: Delivery) -> list[str]:
    """Companies for which the second run paid the research agent although the first had researched them."""
    rows = await world.rows(
        """
        SELECT c.name, c.domain, count(*) AS calls
        FROM agent_turns t
        LEFT JOIN company_candidates c ON c.run_id = t.run_id AND c.company_id::text = split_part(t.subject, ' ', 2)
        WHERE t.run_id = %s AND t.role = 'company_research'
        GROUP BY c.name, c.domain ORDER BY c.domain
        """,
        world.second,
    )
    again = [row for row in rows if row["domain"] is None or row["domain"] in before.companies]
    return [f"{row['name']} ({row['domain']}): {row['calls']} calls" for row in again]


if __name__ == "__main__":
    command(main)
