"""What two runs of one request on a demo world are worth, measured on the database against the world's gold table.

Reads and computes; starting the runs and printing is ``discovery.py``.
"""

import time
from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.company.criteria_verdicts import SETTLED_BEFORE_RESEARCH
from domain.company.hosts import registrable_domain
from domain.company.pms_detection import SitePage
from domain.company.status import CompanyStatus
from local.demo.truth import GoldCompany
from pms.detect import detect_pms
from store.database import Connection
from store.runs import runs
from store.tools import tool_results

# Why a company of the gold table has no site that could be read.
_UNREADABLE = frozenset({"no_own_domain", "defunct", "blocked_by_robots"})


class Wanted(BaseModel):
    """What the runs ask for: one software, one state."""

    model_config = ConfigDict(frozen=True)

    pms: str
    state: str


class Measures(BaseModel):
    """One world's figures. Shares are of 1.

    Attributes:
        fitting, delivered, missed: deliverable companies of the gold table that fit the request; those among the complete
            ones; the others by name, with where each was lost.
        invented: complete companies that are not among the fitting ones.
        qualified, wrongly_qualified: companies that code let through to the agents (own site, alive, not suppressed, right
            place, right software); those of which the gold table says otherwise.
        verdicts, wrong_verdicts: PMS verdicts given (detected, none, conflict) on sites of the gold table; the wrong ones.
        abstained, abstained_though_known: sites on which the verdict is unknown; of these, with a verdict in the gold table.
        no_companies: sites that were read as a company's and are none's.
        found, named, new: candidates stored; mentions by search tasks; of these, new to the run.
        repeating_tasks: the search tasks that named most of what the run had already, at most three.
        identity_duplicates: candidates that turned out to be another candidate of the run.
        repeated_calls: identical tool calls of the first run that reached the network again within it.
        second_run_fetches, second_run_searches: calls of the same request asked again that reached the network.
        pages, pages_per_s: stored pages, and how many a second one core classifies, decompressed and parsed from the store.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    fitting: int
    delivered: int
    missed: tuple[str, ...]
    invented: tuple[str, ...]
    qualified: int
    wrongly_qualified: tuple[str, ...]
    verdicts: int
    wrong_verdicts: tuple[str, ...]
    abstained: int
    abstained_though_known: tuple[str, ...]
    no_companies: tuple[str, ...]
    found: int
    named: int
    new: int
    repeating_tasks: tuple[str, ...]
    identity_duplicates: int
    repeated_calls: tuple[str, ...]
    second_run_fetches: tuple[str, ...]
    second_run_searches: int
    pages: int
    pages_per_s: float
    wall_s: float
    second_wall_s: float
    model_calls: int
    cost_usd: float

    @property
    def recall(self) -> float:
        """Share of the fitting companies that were delivered."""
        return _share(self.delivered, self.fitting)

    @property
    def precision(self) -> float:
        """Share of the qualified companies that the gold table lets through as well."""
        return _share(self.qualified - len(self.wrongly_qualified), self.qualified)

    @property
    def verdict_accuracy(self) -> float:
        """Share of the verdicts given that are right."""
        return _share(self.verdicts - len(self.wrong_verdicts), self.verdicts)

    @property
    def abstention(self) -> float:
        """Share of the sites read on which the verdict is unknown."""
        return _share(self.abstained, self.abstained + self.verdicts)

    @property
    def duplicates(self) -> float:
        """Share of the mentions that another one had made before."""
        return _share(self.named - self.new, self.named)


async def measure(
    conn: Connection, seed: int, gold: list[GoldCompany], wanted: Wanted, first: UUID, second: UUID
) -> Measures:
    """Measure a run and the same request asked again after it."""
    rows = await _companies(conn, first)
    by_domain = {domain: company for company in gold for domain in (company.domain, *company.alias_domains) if domain}
    fitting = [company for company in gold if company.deliverable and _fits(company, wanted)]
    complete = [row for row in rows if row["status"] == CompanyStatus.COMPLETE]
    delivered = {id(by_domain[row["domain"]]) for row in complete if row["domain"] in by_domain}
    qualified = [row for row in rows if _is_qualified(row)]
    with_facts = [row for row in rows if row["facts"] is not None]
    read = [row for row in with_facts if row["domain"] in by_domain]
    given = [row for row in read if row["facts"]["pms_status"] != "unknown"]
    abstained = [row for row in read if row["facts"]["pms_status"] == "unknown"]
    one, two = await runs.get_run(conn, first), await runs.get_run(conn, second)
    spend = await runs.spend(conn, first)
    tasks = await _one(conn, "SELECT sum(named) AS named, sum(new) AS new FROM search_tasks WHERE run_id = %s", first)
    pages, pages_per_s = await _classification_speed(conn)
    return Measures(
        seed=seed,
        fitting=len(fitting),
        delivered=sum(id(company) in delivered for company in fitting),
        missed=tuple(_lost(company, rows) for company in fitting if id(company) not in delivered),
        invented=tuple(_named(row, by_domain) for row in complete if by_domain.get(row["domain"]) not in fitting),
        qualified=len(qualified),
        wrongly_qualified=tuple(
            f"{_named(row, by_domain)}: {why}"
            for row in qualified
            if (why := _not_qualified(by_domain.get(row["domain"]), wanted)) is not None
        ),
        verdicts=len(given),
        wrong_verdicts=tuple(
            f"{_named(row, by_domain)}: {_verdict(row)}" for row in given if not _is_right(row, by_domain)
        ),
        abstained=len(abstained),
        abstained_though_known=tuple(
            f"{_named(row, by_domain)}: {row['facts']['pms_reason']}"
            for row in abstained
            if not _is_right(row, by_domain)
        ),
        no_companies=tuple(_named(row, by_domain) for row in with_facts if row["domain"] not in by_domain),
        found=len(rows),
        named=int(tasks["named"] or 0),
        new=int(tasks["new"] or 0),
        repeating_tasks=await _repeating_tasks(conn, first),
        identity_duplicates=sum(row["status"] == CompanyStatus.DUPLICATE for row in rows),
        repeated_calls=await _repeated_calls(conn, two.created_at),
        second_run_fetches=await _calls_since(conn, two.created_at, "fetch_page"),
        second_run_searches=len(await _calls_since(conn, two.created_at, "search_web")),
        pages=pages,
        pages_per_s=pages_per_s,
        wall_s=_seconds(one.created_at, one.finished_at),
        second_wall_s=_seconds(two.created_at, two.finished_at),
        model_calls=int(spend["model_calls"]),
        cost_usd=float(spend["cost_usd"]),
    )


def _fits(company: GoldCompany, wanted: Wanted) -> bool:
    return company.pms == wanted.pms and company.state == wanted.state


def _is_qualified(row: dict[str, Any]) -> bool:
    """Code has read its site and nothing that code settles alone has turned it away, nor left it for a person."""
    if row["facts"] is None or row["status"] in {
        CompanyStatus.SUPPRESSED,
        CompanyStatus.DUPLICATE,
        CompanyStatus.FAILED,
    }:
        return False
    settled = [verdict for verdict in row["verdicts"] if verdict["criterion"] in SETTLED_BEFORE_RESEARCH]
    return all(verdict["value"] == "met" for verdict in settled)


def _not_qualified(company: GoldCompany | None, wanted: Wanted) -> str | None:
    """Why the gold table would not let a company through, by what code settles alone."""
    if company is None:
        return "no such company"
    if company.not_deliverable_reason in _UNREADABLE:
        return str(company.not_deliverable_reason)
    if company.suppressed:
        return "suppressed"
    if company.state != wanted.state:
        return f"in {company.state}"
    return None if company.pms == wanted.pms else f"gold: {company.pms or company.pms_status}"


def _is_right(row: dict[str, Any], by_domain: dict[str, GoldCompany]) -> bool:
    company, facts = by_domain[row["domain"]], row["facts"]
    gold = (company.pms_status, company.pms if company.pms_status == "detected" else None)
    return gold == (facts["pms_status"], facts["pms"])


def _verdict(row: dict[str, Any]) -> str:
    return str(row["facts"]["pms"] or row["facts"]["pms_status"])


def _named(row: dict[str, Any], by_domain: dict[str, GoldCompany]) -> str:
    company = by_domain.get(row["domain"])
    gold = "not in the gold table" if company is None else f"gold: {company.pms or company.pms_status}, {company.state}"
    return f"{row['name']} ({row['domain']}; {gold})"


def _lost(company: GoldCompany, rows: list[dict[str, Any]]) -> str:
    """Where a company that fits was lost: never named, or how every candidate of its domain or name ended."""
    own = {company.domain, *company.alias_domains}
    ends = [
        f"{row['status']}/{row['reason']}" if row["reason"] else str(row["status"])
        for row in rows
        if row["domain"] in own or (row["domain"] is None and row["name"] == company.name)
    ]
    traits = f"; {', '.join(company.traits)}" if company.traits else ""
    return f"{company.name} ({company.domain}{traits}): {', '.join(ends) or 'never named by a search task'}"


async def _companies(conn: Connection, run_id: UUID) -> list[dict[str, Any]]:
    cursor = await conn.execute(
        """
        SELECT c.name, c.domain, c.status, c.reason, f.facts, f.verdicts
        FROM company_candidates c LEFT JOIN company_research f USING (company_id)
        WHERE c.run_id = %s ORDER BY c.position, c.company_id
        """,
        (run_id,),
    )
    return list(await cursor.fetchall())


async def _repeated_calls(conn: Connection, before: datetime) -> tuple[str, ...]:
    # What is kept for seconds only is a failure that may pass (``web/page_retry.py``): asking again repeats no call.
    cursor = await conn.execute(
        """
        SELECT tool, args::text AS args, count(*) - 1 AS repeats FROM tool_results
        WHERE fetched_at < %s AND expires_at - fetched_at >= interval '1 minute'
        GROUP BY tool, args_hash, args HAVING count(*) > 1 ORDER BY 1, 2
        """,
        (before,),
    )
    return tuple(f"{row['tool']} {row['args']}: {row['repeats']} more" for row in await cursor.fetchall())


async def _repeating_tasks(conn: Connection, run_id: UUID) -> tuple[str, ...]:
    cursor = await conn.execute(
        """
        SELECT query, named, new FROM search_tasks WHERE run_id = %s AND named > new
        ORDER BY named - new DESC, ordinal LIMIT 3
        """,
        (run_id,),
    )
    return tuple(f"{row['query']}: {row['named']} named, {row['new']} new" for row in await cursor.fetchall())


async def _calls_since(conn: Connection, since: datetime, tool: str) -> tuple[str, ...]:
    cursor = await conn.execute(
        """
        SELECT args::text AS args, status, reason FROM tool_results WHERE fetched_at >= %s AND tool = %s ORDER BY fetched_at
        """,
        (since, tool),
    )
    return tuple(f"{row['args']}: {row['reason'] or row['status']}" for row in await cursor.fetchall())


async def _classification_speed(conn: Connection) -> tuple[int, float]:
    """Pages stored, and how many a second one core classifies; the time of getting them from the database is left out."""
    cursor = await conn.execute(
        """
        SELECT payload->>'url' AS url, payload->>'final_url' AS final_url, page_hash FROM tool_results
        WHERE tool = 'fetch_page' AND status = 'ok' ORDER BY result_id
        """
    )
    sites: dict[str | None, list[SitePage]] = defaultdict(list)
    for row in await cursor.fetchall():
        html = await tool_results.load_body(conn, row["page_hash"])
        page = SitePage(url=row["url"], final_url=row["final_url"], html=html)
        sites[registrable_domain(page.url)].append(page)
    started_s = time.process_time()
    for pages in sites.values():
        detect_pms(pages)
    spent_s = time.process_time() - started_s
    count = sum(len(pages) for pages in sites.values())
    return count, count / spent_s if spent_s else 0.0


async def _one(conn: Connection, query: str, run_id: UUID) -> dict[str, Any]:
    row = await (await conn.execute(query.encode(), (run_id,))).fetchone()
    return dict(row or {})


def _seconds(start: datetime, end: datetime | None) -> float:
    return (end - start).total_seconds() if end else 0.0


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
