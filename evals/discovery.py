"""How much of a demo world does a run find, and is it right? ``python -m evals.discovery [SEED…] [--into FILE]``.

In each world all companies of one software and state are asked for, twice, and compared with the demo's truth. Exits 1 when a
target is missed.
"""

import time
from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.company.criteria_verdicts import SETTLED_BEFORE_RESEARCH
from domain.company.hosts import registrable_domain
from domain.company.pms_detection import SitePage
from domain.company.status import CompanyStatus
from evals.figures import PMS, STATE, Figure, Into, Seeds, command, run_evaluation, run_request
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import generate_world
from pms.detect import detect_pms
from runtime.services import Services
from store.database import Connection
from store.runs import runs
from store.tools import tool_results

SEEDS = (31, 57, 101, 404, 777)
_UNREADABLE = frozenset({"no_own_domain", "defunct", "blocked_by_robots"})
_NOT_QUALIFIED = frozenset({CompanyStatus.SUPPRESSED, CompanyStatus.DUPLICATE, CompanyStatus.FAILED})
Row = dict[str, Any]


def main(seeds: Seeds = None, into: Into = None) -> None:
    """Measure discovery in demo worlds."""
    run_evaluation("discovery", seeds or SEEDS, into, measure)


async def measure(services: Services, seed: int) -> list[Figure]:
    """Ask twice and compare what was found with the truth."""
    conn, gold = services.conn, gold_table(generate_world(seed)).companies
    first, second = await run_request(services), await run_request(services)
    rows = await _companies(conn, first)
    by_domain = {domain: company for company in gold for domain in (company.domain, *company.alias_domains) if domain}
    fitting = [c for c in gold if c.deliverable and (c.pms, c.state) == (PMS, STATE)]
    complete = [row for row in rows if row["status"] == CompanyStatus.COMPLETE]
    delivered = {id(by_domain[row["domain"]]) for row in complete if row["domain"] in by_domain}
    missed = [_lost(company, rows) for company in fitting if id(company) not in delivered]
    unfit = [_named(row, by_domain) for row in complete if by_domain.get(row["domain"]) not in fitting]
    qualified = [row for row in rows if _is_qualified(row)]
    wrongly = [
        f"{_named(row, by_domain)}: {why}" for row in qualified if (why := _why_not(by_domain.get(row["domain"])))
    ]
    with_facts = [row for row in rows if row["facts"] is not None]
    read = [row for row in with_facts if row["domain"] in by_domain]
    given = [row for row in read if row["facts"]["pms_status"] != "unknown"]
    wrong = [_named(row, by_domain) for row in given if not _is_right(row, by_domain)]
    abstained = [row for row in read if row not in given]
    not_companies = [_named(row, by_domain) for row in with_facts if row["domain"] not in by_domain]
    one, two = await runs.get_run(conn, first), await runs.get_run(conn, second)
    spend = await runs.spend(conn, first)
    repeated = await _repeated_calls(conn, two.created_at)
    fetched = await _calls_since(conn, two.created_at, "fetch_page")
    searched = await _calls_since(conn, two.created_at, "search_web")
    [tasks] = await _rows(
        conn, "SELECT sum(named) AS named, sum(new) AS new FROM search_tasks WHERE run_id = %s", first
    )
    named = int(tasks["named"] or 0)
    pages, pages_per_s = await _classification_speed(conn)
    return [
        _right("recall of deliverable companies", len(fitting), missed, 0.95),
        Figure("delivered though it does not fit", len(unfit), len(complete), unfit, at_most=0),
        _right("precision of `qualified`", len(qualified), wrongly, 1),
        _right("software verdicts given that are right", len(given), wrong, 1),
        Figure("sites without a software verdict", len(abstained), len(read)),
        Figure("sites read as a company's that are nobody's", text=str(len(not_companies)), rows=not_companies),
        Figure(
            "identical tool calls repeated on the network",
            len(repeated),
            1,
            repeated,
            at_most=0,
            text=str(len(repeated)),
        ),
        Figure(
            "page fetches of the same request asked again", len(fetched), 1, fetched, at_most=0, text=str(len(fetched))
        ),
        Figure("searches of the same request asked again", text=str(len(searched))),
        Figure("mentions that another task had made before", named - int(tasks["new"] or 0), named, at_most=0.05),
        Figure(
            "candidates that were another candidate",
            sum(row["status"] == CompanyStatus.DUPLICATE for row in rows),
            len(rows),
        ),
        Figure(
            "stored pages classified, per second and core",
            pages_per_s,
            1,
            at_least=1000,
            text=f"{pages_per_s:,.0f} (of {pages:,})",
        ),
        Figure("wall time, first and second run", text=f"{_seconds(one):.0f} s, {_seconds(two):.0f} s"),
        Figure("model calls", text=f"{spend['model_calls']:,}"),
        Figure("cost (the demo model's)", text=f"${float(spend['cost_usd']):.3f}"),
    ]


def _right(name: str, whole: int, wrong: list[str], at_least: float) -> Figure:
    return Figure(name, whole - len(wrong), whole, wrong, at_least=at_least)


def _is_qualified(row: Row) -> bool:
    """Code read its site, and nothing that code settles alone turned it away or left it for a person."""
    if row["facts"] is None or row["status"] in _NOT_QUALIFIED:
        return False
    settled = [verdict for verdict in row["verdicts"] if verdict["criterion"] in SETTLED_BEFORE_RESEARCH]
    return all(verdict["value"] == "met" for verdict in settled)


def _why_not(company: GoldCompany | None) -> str | None:
    """Why the truth would not let a company through, by what code settles alone."""
    if company is None:
        return "no such company"
    if company.not_deliverable_reason in _UNREADABLE:
        return str(company.not_deliverable_reason)
    if company.suppressed:
        return "suppressed"
    if company.state != STATE:
        return f"in {company.state}"
    return None if company.pms == PMS else f"gold: {company.pms or company.pms_status}"


def _is_right(row: Row, by_domain: dict[str, GoldCompany]) -> bool:
    company, facts = by_domain[row["domain"]], row["facts"]
    gold = (company.pms_status, company.pms if company.pms_status == "detected" else None)
    return gold == (facts["pms_status"], facts["pms"])


def _named(row: Row, by_domain: dict[str, GoldCompany]) -> str:
    company = by_domain.get(row["domain"])
    gold = "not in the gold table" if company is None else f"gold: {company.pms or company.pms_status}, {company.state}"
    return f"{row['name']} ({row['domain']}; {gold})"


def _lost(company: GoldCompany, rows: list[Row]) -> str:
    """Where a company that fits was lost: how every candidate of its domain or name ended."""
    own = {company.domain, *company.alias_domains}
    ends = [
        f"{row['status']}/{row['reason']}" if row["reason"] else str(row["status"])
        for row in rows
        if row["domain"] in own or (row["domain"] is None and row["name"] == company.name)
    ]
    traits = f"; {', '.join(company.traits)}" if company.traits else ""
    return f"{company.name} ({company.domain}{traits}): {', '.join(ends) or 'never named by a search task'}"


async def _companies(conn: Connection, run_id: UUID) -> list[Row]:
    return await _rows(
        conn,
        """
        SELECT c.name, c.domain, c.status, c.reason, f.facts, f.verdicts
        FROM company_candidates c LEFT JOIN company_research f USING (company_id)
        WHERE c.run_id = %s ORDER BY c.position, c.company_id
        """,
        run_id,
    )


async def _repeated_calls(conn: Connection, before: datetime) -> list[str]:
    # A result kept for seconds only is a failure that may pass: asking again repeats no call.
    rows = await _rows(
        conn,
        """
        SELECT tool, args::text AS args, count(*) - 1 AS repeats FROM tool_results
        WHERE fetched_at < %s AND expires_at - fetched_at >= interval '1 minute'
        GROUP BY tool, args_hash, args HAVING count(*) > 1 ORDER BY 1, 2
        """,
        before,
    )
    return [f"{row['tool']} {row['args']}: {row['repeats']} more" for row in rows]


async def _calls_since(conn: Connection, since: datetime, tool: str) -> list[str]:
    query = "SELECT args::text AS args, status, reason FROM tool_results WHERE fetched_at >= %s AND tool = %s ORDER BY fetched_at"
    return [f"{row['args']}: {row['reason'] or row['status']}" for row in await _rows(conn, query, since, tool)]


async def _classification_speed(conn: Connection) -> tuple[int, float]:
    """Pages stored, and how many a second one core classifies, without the time to load them."""
    rows = await _rows(
        conn,
        """
        SELECT payload->>'url' AS url, payload->>'final_url' AS final_url, page_hash FROM tool_results
        WHERE tool = 'fetch_page' AND status = 'ok' ORDER BY result_id
        """,
    )
    sites: dict[str | None, list[SitePage]] = defaultdict(list)
    for row in rows:
        html = await tool_results.load_body(conn, row["page_hash"])
        page = SitePage(url=row["url"], final_url=row["final_url"], html=html)
        sites[registrable_domain(page.url)].append(page)
    started_s = time.process_time()
    for pages in sites.values():
        detect_pms(pages)
    spent_s = time.process_time() - started_s
    return len(rows), len(rows) / spent_s if spent_s else 0.0


async def _rows(conn: Connection, query: str, *values: object) -> list[Row]:
    return list(await (await conn.execute(query.encode(), values)).fetchall())


def _seconds(run: runs.RunRow) -> float:
    return (run.finished_at - run.created_at).total_seconds() if run.finished_at else 0.0


if __name__ == "__main__":
    command(main)
