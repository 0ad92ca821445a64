"""Of two twins that are qualified at the same time, one stays in the run."""

from __future__ import annotations

import asyncio

from activities.qualify import QualificationActivities
from domain.activity_io import CompanyInput
from domain.company.status import CompanyStatus
from domain.request.criteria import Criteria
from settings import Settings
from store.companies import companies
from store.database import Database
from tests.http_server import Reply, Request, html, serving
from tests.store.rows import add_run, candidate
from web.fetch import WebClient
from web.gateway import ToolGateway

PHONES = {"twin-one.example": "(512) 555-0101", "twin-two.example": "(512) 555-0202"}


def _sites(request: Request) -> Reply:
    host = request.headers["host"]
    if request.target.endswith("/robots.txt"):
        return Reply(404)
    footer = f"<footer>100 Main Street, Austin, TX 78701 {PHONES[host]}</footer>"
    return html(f"<title>Lone Star Rentals</title><h1>Lone Star Rentals {host}</h1>{footer}")


async def test_concurrent_twins_leave_one_company(database: Database, settings: Settings) -> None:
    async with database.transaction() as conn:
        request = (await add_run(conn)).model_copy(update={"criteria": Criteria()})
        for number, host in enumerate(PHONES):
            named = candidate("Lone Star Rentals LLC", key=host, url=f"http://{host}/")
            await companies.insert_candidate(conn, request.run_id, None, number, named)
        refs, _ = await companies.list_open_after(conn, request.run_id, 0, 10)
    async with serving(_sites) as proxy:
        web = WebClient(proxy=proxy.url, timeout_s=5, bytes_max=100_000)
        workers = []
        for _ in refs:
            gateway = ToolGateway(database, web, None, settings)
            workers.append(QualificationActivities(database, gateway, settings))
        outcomes = await asyncio.gather(
            *(
                worker.qualify_company(CompanyInput(request=request, company=ref))
                for worker, ref in zip(workers, refs, strict=True)
            )
        )
        await web.close()

    assert sorted(outcome.status for outcome in outcomes) == [CompanyStatus.DUPLICATE, CompanyStatus.FOUND]
