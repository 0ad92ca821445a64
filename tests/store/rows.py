"""Rows that store tests start from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain.company.facts import CompanyFacts
from domain.company.icp import grade_icp
from domain.company.places import Place
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact.person import Person
from domain.evidence import Evidence
from domain.request.criteria import parse_criteria
from domain.request.run_request import Limits, RunRequest, workflow_id_of
from store.companies import companies
from store.companies.companies import Candidate
from store.database import Connection, fetch_rows
from store.runs import runs
from store.tools.tool_results import ToolResult

EVIDENCE = Evidence(result_id="r1", url="http://list.example/", quote="as the page has it")


def run_request(*, target: int = 5, contacts_min: int = 1, limits: Limits | None = None) -> RunRequest:
    """A run for Buildium companies in Texas."""
    criteria = parse_criteria({"pms": "Buildium", "state": "TX"}).criteria
    return RunRequest(
        run_id=uuid4(),
        criteria=criteria,
        target_quantity=target,
        contacts_min=contacts_min,
        contacts_max=3,
        limits=limits or Limits(),
    )


async def add_run(
    conn: Connection, *, target: int = 5, contacts_min: int = 1, limits: Limits | None = None
) -> RunRequest:
    """Store a new run."""
    request = run_request(target=target, contacts_min=contacts_min, limits=limits)
    assert await runs.insert_run(conn, request, workflow_id_of(request.run_id), "asker@customer.example")
    return request


def candidate(name: str, *, key: str | None = None, url: str | None = None, state: str | None = "TX") -> Candidate:
    """A company as a list page names it."""
    return Candidate(
        name=name,
        url=url,
        city=None,
        state=state,
        phone=None,
        discovery_source="http://list.example/",
        evidence=EVIDENCE,
        candidate_key=key or name,
    )


async def add_company(conn: Connection, run_id: UUID, name: str, *, position: int = 0) -> UUID:
    """Store a candidate and return its company's id."""
    assert await companies.insert_candidate(conn, run_id, None, position, candidate(name))
    cursor = await conn.execute(
        "SELECT company_id FROM company_candidates WHERE run_id = %s AND candidate_key = %s", (run_id, name)
    )
    row = await cursor.fetchone()
    assert row is not None
    company_id: UUID = row["company_id"]
    return company_id


def facts_in(*places: Place) -> CompanyFacts:
    """Facts that name offices and nothing else."""
    return CompanyFacts(places=places, place_evidence=tuple(EVIDENCE for _ in places))


async def add_research(
    conn: Connection, run_id: UUID, company_id: UUID, facts: CompanyFacts, *, graded: bool = True
) -> None:
    """Store a company's facts, graded unless the agent has not read it yet."""
    icp = grade_icp(facts) if graded else None
    await companies.save_research(conn, run_id, company_id, facts, (), icp, pages=(), dropped={}, researched=graded)


async def complete(conn: Connection, company_id: UUID) -> None:
    """End a company as complete."""
    await companies.end_company(conn, company_id, CompanyStatus.COMPLETE, ReasonCode.COMPLETE)


def person(name: str, title: str = "Owner", *, email: str | None = None) -> Person:
    """A person whom a page names."""
    return Person(full_name=name, title=title, email=email, evidence=EVIDENCE)


def result(result_id: str, *, text: str = "", page_hash: str | None = None) -> ToolResult:
    """An ``ok`` page result."""
    return ToolResult(
        result_id=result_id,
        tool="fetch_page",
        args={"url": "http://acme.example/"},
        status="ok",
        text=text,
        page_hash=page_hash,
        fetched_at=datetime.now(UTC),
    )


async def audit_events(conn: Connection, run_id: UUID) -> list[dict[str, Any]]:
    """A run's audit trail, oldest first."""
    query = "SELECT event, actor, company_id, detail, created_at FROM audit_events WHERE run_id = %s ORDER BY event_id"
    return await fetch_rows(conn, query, (run_id,))
