"""A finished run with a row in every table: Acme Homes and Birch Rentals with their people, found on one directory page."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from domain.company.facts import CompanyFacts, TextEvidence
from domain.company.icp import grade_icp
from domain.company.identity import IdentityKeys
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person
from domain.delivery.csv_files import render_files
from domain.evidence import Evidence
from domain.imports.rows import Seed
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from domain.request.search_plan import SearchTask
from store.companies import companies, contacts, research_cache, vendor_accounts
from store.companies.companies import Candidate, SitePageRef
from store.database import Connection
from store.delivery import export_rows
from store.runs import agent_turns, audit, notifications, runs, search_tasks
from store.runs.agent_turns import Reservation, TurnKey
from store.tools import tool_results
from store.tools.tool_results import ToolResult
from tests.store.rows import add_run

LIST_URL = "http://list.example/texas"
LIST_TEXT = "Members\nAcme Homes LLC (512) 555-0142\nBirch Rentals\nAsk Jane Doe, or jane.doe@acme.example"
JANE, JOHN, ANN = "Jane Doe", "John Roe", "Ann Poe"


@dataclass(frozen=True)
class Firm:
    """What the run knows of a company."""

    name: str
    domain: str
    slug: str
    people: Mapping[str, str]
    phone: str


ACME = Firm(
    "Acme Homes LLC", "acme.example", "acmehomes", {JANE: "Owner", JOHN: "Director of Operations"}, "+15125550142"
)
BIRCH = Firm("Birch Rentals", "birch.example", "birch", {ANN: "Owner"}, "+15125550177")


@dataclass(frozen=True)
class WholeRun:
    """The run, and its companies by name."""

    request: RunRequest
    company_ids: Mapping[str, UUID]


async def add_whole_run(conn: Connection, *, ended: bool = True) -> WholeRun:
    """Store it. ``conn`` is in a transaction."""
    request = await add_run(conn, target=2)
    run_id = request.run_id
    await conn.execute("UPDATE runs SET notes = 'not such as Acme Homes' WHERE run_id = %s", (run_id,))
    task = SearchTask(
        ordinal=0,
        kind="directory_pages",
        query="such as Acme Homes",
        city="Austin",
        state="TX",
        unique_hash="of the task",
    )
    await search_tasks.insert_tasks(conn, run_id, (task,))
    [ref] = await search_tasks.next_open(conn, run_id, -1, 1)
    await search_tasks.claim_page(conn, run_id, ref.task_id, "http://acme.example/about")
    body = (
        f"<p>{LIST_TEXT}</p><a href='http://acme.example/'>Acme&nbsp;Homes</a><a href='http://birch.example/'>Birch</a>"
    )
    await _page(conn, "r-list", LIST_URL, LIST_TEXT, body)
    hits = [{"url": "http://acme.example/", "title": "Acme Homes", "snippet": "Jane Doe leads"}]
    search = ToolResult(
        result_id="r-search",
        tool="search_web",
        args={"query": "Acme Homes Austin TX"},
        status="ok",
        payload={"results": hits},
        text="Acme Homes\nJane Doe leads\nhttp://acme.example/",
        fetched_at=datetime.now(UTC),
    )
    await tool_results.save_result(conn, search, "hash of the search", 3600, None)
    output: list[dict[str, Any]] = [
        {"type": "message", "content": [{"text": '{"companies": [{"name": "Acme Homes"}]}'}]}
    ]
    await _turn(conn, run_id, f"task {ref.task_id} round 0", "discovery", output)
    ids = {}
    for position, firm in enumerate((ACME, BIRCH)):
        ids[firm.name] = await _company(conn, run_id, ref.task_id, position, firm)
    await vendor_accounts.fill_staging_table(
        conn, [_seed(firm) for firm in (ACME, BIRCH)], "accounts of Acme Homes.csv"
    )
    await vendor_accounts.merge_staging_table(conn)
    await conn.execute(
        "INSERT INTO rate_limits (name, next_at, started_at) VALUES ('acme.example', now(), now()), ('birch.example', now(), now())"
    )
    await audit.record(
        conn, run_id, "decision_refused", "1", actor="jane.doe@acme.example", detail={"problem": "Jane  Doe"}
    )
    await notifications.mark_sent(conn, run_id, "completed")
    if ended:
        await runs.finish(conn, run_id, RunStatus.COMPLETED, list(ids.values()), "")
        rows = (
            await export_rows.company_rows(conn, [*ids.values()]),
            await export_rows.contact_rows(conn, [*ids.values()]),
        )
        files = render_files(run_id, datetime.now(UTC), *rows)
        for kind, file in zip(("companies", "contacts"), files, strict=True):
            await export_rows.save_artifact(conn, run_id, kind, file, partial=False)
    return WholeRun(request, ids)


def _seed(firm: Firm) -> Seed:
    portal = f"https://{firm.slug}.managebuilding.com/Resident/portal/login"
    return Seed(vendor=PmsVendor.BUILDIUM, slug=firm.slug, portal_url=portal, company_name=firm.name, state="TX")


async def _company(conn: Connection, run_id: UUID, task_id: UUID, position: int, firm: Firm) -> UUID:
    site, result_id = f"http://{firm.domain}/", f"r-{firm.slug}"
    people = "\n".join(f"{name}, {title} {_email(name, firm)}" for name, title in firm.people.items())
    text = f"{firm.name}\n{people}\nhttps://{firm.slug}.managebuilding.com/"
    await _page(conn, result_id, site, text, f"<html>{text}</html>")
    named = Evidence(result_id="r-list", url=LIST_URL, quote=firm.name)
    candidate = Candidate(
        name=firm.name,
        url=site,
        city="Austin",
        state="TX",
        phone=firm.phone,
        discovery_source=LIST_URL,
        evidence=named,
        candidate_key=f"domain:{firm.domain}",
    )
    await companies.insert_candidate(conn, run_id, task_id, position, candidate)
    [company_id] = [
        ref.company_id for ref in (await companies.list_open_after(conn, run_id, 0, 9))[0] if ref.position == position
    ]
    await companies.set_own_site(conn, company_id, firm.domain, site, [f"old-{firm.domain}"])
    keys = IdentityKeys(
        domains=(firm.domain,), portal_accounts=(f"Buildium:{firm.slug}",), phones=(firm.phone,), name=firm.name
    )
    await companies.claim_identity(conn, run_id, company_id, keys)
    proof = Evidence(result_id=result_id, url=site, quote=firm.name)
    facts = CompanyFacts(
        places=(Place(city="Austin", state="TX"),),
        place_evidence=(proof,),
        description=TextEvidence(value=f"{firm.name} of {next(iter(firm.people))}", evidence=proof),
    )
    pages = [SitePageRef(url=site, title=firm.name)]
    await companies.save_research(
        conn, run_id, company_id, facts, (), grade_icp(facts), pages=pages, dropped={}, researched=True
    )
    await research_cache.cache_site(conn, company_id, facts, pages, datetime.now(UTC))
    await research_cache.cache_research(
        conn, company_id, facts, grade_icp(facts), version=1, researched_at=datetime.now(UTC)
    )
    persons = [_person(name, title, firm, proof) for name, title in firm.people.items()]
    await contacts.save_people(conn, run_id, company_id, persons)
    await contacts.set_selection(conn, company_id, persons)
    await research_cache.cache_people(conn, company_id, persons, version=1, found_at=datetime.now(UTC))
    turn: list[dict[str, Any]] = [
        {"type": "message", "content": [{"text": f"of {firm.name}: {', '.join(firm.people)}"}]}
    ]
    await _turn(conn, run_id, f"company {company_id} round 0", "contact_research", turn)
    await companies.end_company(conn, company_id, CompanyStatus.COMPLETE, ReasonCode.COMPLETE, f"as {firm.name} says")
    return company_id


def _person(name: str, title: str, firm: Firm, proof: Evidence) -> Person:
    return Person(
        full_name=name,
        title=title,
        email=_email(name, firm),
        email_status=EmailStatus.PUBLISHED,
        phone="+15125550199" if name == JANE else None,
        linkedin_url=f"https://www.linkedin.com/in/{name.lower().replace(' ', '')}",
        evidence=proof.model_copy(update={"quote": f"{name}, {title}"}),
        email_evidence=proof,
        # The address of one person may be what another's was inferred from.
        email_basis="first.last: jane.doe@acme.example" if name == JOHN else None,
        note=f"{name} replies fast",
        note_evidence=proof,
    )


def _email(name: str, firm: Firm) -> str:
    return f"{name.lower().replace(' ', '.')}@{firm.domain}"


async def _page(conn: Connection, result_id: str, url: str, text: str, body: str) -> None:
    page = ToolResult(
        result_id=result_id,
        tool="fetch_page",
        args={"url": url},
        status="ok",
        payload={"url": url, "final_url": url, "title": text.split("\n")[0], "headers": {}, "redirects": []},
        text=text,
        page_hash=tool_results.content_hash(body),
        fetched_at=datetime.now(UTC),
    )
    await tool_results.save_result(conn, page, f"hash of {result_id}", 3600, body)


async def _turn(conn: Connection, run_id: UUID, subject: str, role: str, output: list[dict[str, Any]]) -> None:
    key = TurnKey(run_id=run_id, subject=subject, role=role, input_hash=uuid4().hex)
    reserved = await agent_turns.reserve_turn(conn, key, 0, "demo", 0.01, {"company": {"name": "as the output has it"}})
    assert isinstance(reserved, Reservation)
    await agent_turns.complete_turn(conn, reserved, output, input_tokens=100, output_tokens=10, cost_usd=0.005)


def text_of(value: object) -> str:
    """Every word of a stored value, compressed page bodies included."""
    if isinstance(value, bytes | memoryview):
        data = bytes(value)
        return (zlib.decompress(data) if data[:1] == b"\x78" else data).decode("utf-8", "replace")
    return str(value.obj) if isinstance(value, Jsonb) else str(value)
