"""A run's files: what is complete and selected, stored with the run."""

from __future__ import annotations

import csv
import io
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.export import ExportActivities
from domain.activity_io import ExportResult, RunInput
from domain.company.places import Place
from domain.delivery.csv_files import CsvFile
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from store.companies import companies, contacts
from store.database import Connection, Database
from store.delivery import export_rows
from store.runs import runs
from tests.store.rows import add_company, add_research, add_run, complete, facts_in, person
from usecases.export import rendered_files

TEXAS = facts_in(Place(city="Austin", state="TX"))


async def add_complete(conn: Connection, run_id: UUID, name: str, position: int, *, graded: bool = True) -> UUID:
    """A complete company with its owner as the selected contact."""
    company_id = await add_company(conn, run_id, name, position=position)
    domain = f"{name.lower()}.example"
    await companies.set_own_site(conn, company_id, domain, f"http://{domain}/", [])
    await add_research(conn, run_id, company_id, TEXAS, graded=graded)
    owner = person(f"Olive {name}", email=f"olive@{domain}")
    await contacts.save_people(conn, run_id, company_id, [owner])
    await contacts.set_selection(conn, company_id, [owner])
    await complete(conn, company_id)
    return company_id


@pytest.fixture
async def request_(database: Database) -> RunRequest:
    """A run for two companies that has three complete ones."""
    async with database.transaction() as conn:
        request = await add_run(conn, target=2)
        for position, name in enumerate(("Acme", "Birch", "Cedar")):
            await add_complete(conn, request.run_id, name, position)
    return request


async def finish_and_export(database: Database, request: RunRequest) -> ExportResult:
    async with database.transaction() as conn:
        selected = await companies.complete_in_order(conn, request.run_id, request.target_quantity)
        await runs.finish(conn, request.run_id, RunStatus.COMPLETED, selected, "")
    return await export(database, request)


async def export(database: Database, request: RunRequest) -> ExportResult:
    return await ActivityEnvironment().run(ExportActivities(database).export_run, RunInput(request=request))


async def stored(database: Database, request: RunRequest) -> list[CsvFile]:
    async with database.transaction() as conn:
        found = [await export_rows.load_artifact(conn, request.run_id, kind) for kind in ("companies", "contacts")]
    return [artifact[0] for artifact in found if artifact]


async def rendered(database: Database, request: RunRequest) -> tuple[CsvFile, CsvFile, bool]:
    async with database.transaction() as conn:
        run = await runs.get_run(conn, request.run_id)
    async with database.transaction() as conn:
        return await rendered_files(conn, run)


def column(file: CsvFile, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader(io.StringIO(file.content.decode()))]


async def test_the_selected_companies_are_exported_with_contacts(database: Database, request_: RunRequest) -> None:
    result = await finish_and_export(database, request_)
    assert (result.companies, result.contacts, result.partial) == (2, 2, False)
    companies_file, contacts_file = await stored(database, request_)
    assert (result.companies_file, result.contacts_file) == (companies_file.name, contacts_file.name)
    domains = column(companies_file, "domain")
    assert domains == column(contacts_file, "company_domain") == ["acme.example", "birch.example"]


async def test_a_second_export_gives_the_same_bytes_and_names(database: Database, request_: RunRequest) -> None:
    await finish_and_export(database, request_)
    before = await stored(database, request_)
    await export(database, request_)
    assert await stored(database, request_) == before


async def test_a_company_without_research_fails_the_export(database: Database, request_: RunRequest) -> None:
    async with database.transaction() as conn:
        unread = await add_complete(conn, request_.run_id, "Dogwood", 9, graded=False)
        await runs.finish(conn, request_.run_id, RunStatus.COMPLETED, [unread], "")
    with pytest.raises(LookupError, match="no research"):
        await export(database, request_)
    assert await stored(database, request_) == []


async def test_files_of_an_open_run_are_partial_and_not_stored(database: Database, request_: RunRequest) -> None:
    companies_file, contacts_file, partial = await rendered(database, request_)
    assert partial, "two of two are complete, but the run may still change"
    assert (companies_file.rows, contacts_file.rows) == (2, 2)
    assert await stored(database, request_) == []


async def test_fewer_companies_than_asked_for_are_partial(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=3)
        await add_complete(conn, request.run_id, "Acme", 0)
    result = await finish_and_export(database, request)
    assert (result.companies, result.partial) == (1, True)


async def test_a_completed_run_is_written_from_its_stored_files(database: Database, request_: RunRequest) -> None:
    await finish_and_export(database, request_)
    before = await stored(database, request_)
    async with database.transaction() as conn:
        await conn.execute("UPDATE company_candidates SET name = 'Renamed' WHERE run_id = %s", (request_.run_id,))
    *written, partial = await rendered(database, request_)
    assert (written, partial) == (before, False)
