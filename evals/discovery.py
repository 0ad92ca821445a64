"""How much of a demo world does a run find, and is it right? ``python -m evals.discovery [SEED…] [--into FILE]``."""

import time
from collections import defaultdict

from domain.company.criteria_verdicts import SETTLED_BEFORE_RESEARCH
from domain.company.hosts import registrable_domain
from domain.company.pms_detection import SitePage
from domain.company.status import CompanyStatus
from evals.figures import Figure, none_of, right, wrong
from evals.harness import command
from evals.worlds import PMS, STATE, Into, Measured, Row, Seeds, evaluate
from local.demo.truth import GoldCompany
from pms.detect import detect_pms
from store.runs import runs
from store.tools import tool_results

SEEDS = (31, 57, 101, 404, 777)
_UNREADABLE = frozenset({"no_own_domain", "defunct", "blocked_by_robots"})
_NOT_QUALIFIED = frozenset({CompanyStatus.SUPPRESSED, CompanyStatus.DUPLICATE, CompanyStatus.FAILED})


def main(seeds: Seeds = None, into: Into = None) -> None:
    """Measure discovery in demo worlds. Exits 1 when a target is missed."""
    evaluate("discovery", seeds or SEEDS, into, measure)


async def measure(world: Measured) -> list[Figure]:
    gold = world.gold
    rows = await _companies(world)
    complete = [row for row in rows if row["status"] == CompanyStatus.COMPLETE]
    delivered = [gold.get(row["domain"]) for row in complete]
    qualified = [row for row in rows if _is_qualified(row)]
    with_facts = [row for row in rows if row["facts"] is not None]
    read = [row for row in with_facts if row["domain"] in gold]
    given = [row for row in read if row["facts"]["pms_status"] != "unknown"]
    one, two = await runs.get_run(world.conn, world.first), await runs.get_run(world.conn, world.second)
    spend = await runs.spend(world.conn, world.first)
    [tasks] = await world.rows(
        "SELECT sum(named)::int AS named, sum(new)::int AS new FROM search_tasks WHERE run_id = %s", world.first
    )
    pages_per_s = await _pages_classified_per_s(world)
    return [
        right(
            "recall of deliverable companies",
            len(world.fitting),
            (_lost(company, rows) for company in world.fitting if company not in delivered),
            0.95,
        ),
        none_of(
            "delivered though it does not fit",
            [
                _named(row, gold)
                for row, company in zip(complete, delivered, strict=True)
                if company not in world.fitting
            ],
        ),
        right("precision of `qualified`", len(qualified), (_why_not(row, gold) for row in qualified), 1),
        right(
            "software verdicts given that are right",
            len(given),
            [_named(row, gold) for row in given if not _is_right(row, gold[row["domain"]])],
            1,
        ),
        Figure("sites without a software verdict", f"{len(read) - len(given)} of {len(read)}"),
        Figure("sites of others read as a company's", str(len(with_facts) - len(read))),
        none_of("identical tool calls repeated on the network", await _repeated_calls(world)),
        none_of("page fetches of the same request asked again", await _fetched_again(world)),
        wrong("mentions that another task had made before", tasks["named"] - tasks["new"], tasks["named"], 0.05),
        Figure("stored pages classified, per second and core", f"{pages_per_s:,.0f}", "≥ 1,000", pages_per_s >= 1000),
        Figure("wall time, first and second run", f"{_seconds(one):.0f} s, {_seconds(two):.0f} s"),
        Figure("model calls", f"{spend['model_calls']:,}"),
        Figure("cost (the demo model's)", f"${float(spend['cost_usd']):.3f}"),
    ]


def _is_qualified(row: Row) -> bool:
    """Code read its site, and every criterion that code settles alone is met."""
    if row["facts"] is None or row["status"] in _NOT_QUALIFIED:
        return False
    settled = [verdict for verdict in row["verdicts"] if verdict["criterion"] in SETTLED_BEFORE_RESEARCH]
    return all(verdict["value"] == "met" for verdict in settled)


def _why_not(row: Row, gold: dict[str, GoldCompany]) -> str:
    """Why a company must not qualify, by what code settles alone; empty if it may."""
    company = gold.get(row["domain"])
    if company is None:
        why = "no such company"
    elif company.not_deliverable_reason in _UNREADABLE:
        why = str(company.not_deliverable_reason)
    elif company.suppressed:
        why = "suppressed"
    elif (company.pms, company.state) != (PMS, STATE):
        why = "does not fit"
    else:
        return ""
    return f"{_named(row, gold)}: {why}"


def _is_right(row: Row, company: GoldCompany) -> bool:
    true = (company.pms_status, company.pms if company.pms_status == "detected" else None)
    return true == (row["facts"]["pms_status"], row["facts"]["pms"])


def _named(row: Row, gold: dict[str, GoldCompany]) -> str:
    company = gold.get(row["domain"])
    truth = (
        "not in the gold table" if company is None else f"gold: {company.pms or company.pms_status}, {company.state}"
    )
    return f"{row['name']} ({row['domain']}; {truth})"


def _lost(company: GoldCompany, rows: list[Row]) -> str:
    """Where a company was lost: how every candidate of its domain or name ended."""
    own = {company.domain, *company.alias_domains}
    ends = [
        f"{row['status']}/{row['reason']}"
        for row in rows
        if row["domain"] in own or (row["domain"] is None and row["name"] == company.name)
    ]
    return f"{company.name} ({company.domain}): {', '.join(ends) or 'never named by a search task'}"


async def _companies(world: Measured) -> list[Row]:
    return await world.rows(
        """
        SELECT c.name, c.domain, c.status, c.reason, f.facts, f.verdicts
        FROM company_candidates c LEFT JOIN company_research f USING (company_id)
        WHERE c.run_id = %s ORDER BY c.position, c.company_id
        """,
        world.first,
    )


async def _repeated_calls(world: Measured) -> list[str]:
    # A result kept for seconds only is a failure that may pass: asking again repeats no call.
    rows = await world.rows(
        """
        SELECT tool, args::text AS args, count(*) AS calls FROM tool_results
        WHERE fetched_at < (SELECT created_at FROM runs WHERE run_id = %s)
          AND expires_at - fetched_at >= interval '1 minute'
        GROUP BY tool, args_hash, args HAVING count(*) > 1 ORDER BY 1, 2
        """,
        world.second,
    )
    return [f"{row['tool']} {row['args']}: {row['calls']} calls" for row in rows]


async def _fetched_again(world: Measured) -> list[str]:
    rows = await world.rows(
        """
        SELECT args::text AS args FROM tool_results
        WHERE fetched_at >= (SELECT created_at FROM runs WHERE run_id = %s) AND tool = 'fetch_page' ORDER BY fetched_at
        """,
        world.second,
    )
    return [row["args"] for row in rows]


async def _pages_classified_per_s(world: Measured) -> float:
    """How many of the stored pages one core classifies in a second, without the time to load them."""
    rows = await world.rows(
        """
        SELECT payload->>'url' AS url, payload->>'final_url' AS final_url, page_hash FROM tool_results
        WHERE tool = 'fetch_page' AND status = 'ok' ORDER BY result_id
        """
    )
    sites: dict[str | None, list[SitePage]] = defaultdict(list)
    for row in rows:
        html = await tool_results.load_body(world.conn, row["page_hash"])
        sites[registrable_domain(row["url"])].append(SitePage(url=row["url"], final_url=row["final_url"], html=html))
    started_s = time.process_time()
    for pages in sites.values():
        detect_pms(pages)
    return len(rows) / (time.process_time() - started_s)


def _seconds(run: runs.RunRow) -> float:
    return (run.finished_at - run.created_at).total_seconds() if run.finished_at else 0.0


if __name__ == "__main__":
    command(main)
