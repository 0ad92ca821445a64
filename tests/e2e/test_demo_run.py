"""The main job: Buildium companies in Texas with one to three contacts each, in two files with every cell proven."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from evals.score import score
from local.demo.world import DEFAULT_SEED
from runtime.connection import connect
from tests.e2e.terminal import Output, Terminal, read_rows
from tests.workflows.conftest import texts_in

CRITERIA = '{"pms": "Buildium", "state": "TX"}'
COMPANIES_HEADER = (
    "company_name,domain,website,state,pms_detected,units_estimate,company_type,description,discovery_source,icp_fit,"
    "icp_tier,icp_confidence,disqualifiers,created_at"
)
CONTACTS_HEADER = (
    "full_name,title,email,linkedin_url,department,seniority,quality_score,company_name,company_domain,company_website,"
    "company_state,personalization_notes,created_at"
)


class Delivery(NamedTuple):
    """A completed run and its files."""

    run_id: str
    companies_csv: Path
    contacts_csv: Path
    output: Output


@pytest.fixture(scope="module")
def delivery(stack: Terminal) -> Delivery:
    limits = ("--quantity", "8", "--contacts-min", "1", "--contacts-max", "3", "--output-dir", "exports")
    output = stack.process("start", "--criteria", CRITERIA, *limits, "--on-decision", "wait")
    lines = dict(line.split(": ", 1) for line in output.out.splitlines() if re.match(r"(SUCCESS|\w+ CSV): ", line))
    assert list(lines) == ["SUCCESS", "Companies CSV", "Contacts CSV"], output.out
    return Delivery(
        lines["SUCCESS"].removeprefix("Run "),
        stack.directory / lines["Companies CSV"],
        stack.directory / lines["Contacts CSV"],
        output,
    )


def test_the_file_names_carry_the_run_and_the_time(delivery: Delivery) -> None:
    pattern = rf"_{delivery.run_id[:8]}_\d{{8}}_\d{{6}}\.csv"
    assert re.fullmatch("companies" + pattern, delivery.companies_csv.name)
    assert re.fullmatch("contacts" + pattern, delivery.contacts_csv.name)
    assert delivery.companies_csv.name.removeprefix("companies") == delivery.contacts_csv.name.removeprefix("contacts")


def test_the_headers_are_exactly_the_14_and_13_columns(delivery: Delivery) -> None:
    assert delivery.companies_csv.read_bytes().split(b"\n")[0].decode() == COMPANIES_HEADER
    assert delivery.contacts_csv.read_bytes().split(b"\n")[0].decode() == CONTACTS_HEADER


def test_every_company_has_one_to_three_contacts(delivery: Delivery) -> None:
    domains = [row["domain"] for row in read_rows(delivery.companies_csv)]
    of_contacts = [row["company_domain"] for row in read_rows(delivery.contacts_csv)]
    assert len(domains) == len(set(domains)) == 8
    assert set(of_contacts) == set(domains)
    assert all(1 <= of_contacts.count(domain) <= 3 for domain in domains)


def test_no_delivered_row_is_wrong(delivery: Delivery) -> None:
    companies, contacts = read_rows(delivery.companies_csv), read_rows(delivery.contacts_csv)
    assert all(row["pms_detected"] == "Buildium" and row["state"] == "TX" for row in companies)
    result = score(companies, contacts, DEFAULT_SEED, "Buildium", "TX")
    assert result.mistakes == ()


def test_the_status_counts_what_the_files_hold(stack: Terminal, delivery: Delivery) -> None:
    status = stack.status(delivery.run_id)
    assert (status["status"], status["stage"], status["decision"]) == ("completed", "done", None)
    assert status["companies"] == {"ready": 8, "gap": 0, "progress_pct": 100}
    assert status["contacts"]["ready"] == len(read_rows(delivery.contacts_csv))
    assert status["funnel"]["complete"] >= 8


def test_a_second_export_writes_the_same_bytes(stack: Terminal, delivery: Delivery, tmp_path: Path) -> None:
    again = stack.json("export", delivery.run_id[:8], "--output-dir", str(tmp_path))
    assert again["partial"] is False
    assert Path(again["companies_csv"]).read_bytes() == delivery.companies_csv.read_bytes()
    assert Path(again["contacts_csv"]).read_bytes() == delivery.contacts_csv.read_bytes()


def test_no_history_holds_an_email_or_a_persons_name(stack: Terminal, delivery: Delivery) -> None:
    written = asyncio.run(texts_of(stack.addresses().temporal_address, f"lead-list-{delivery.run_id}"))
    assert len(written) > 300, "the run and its companies"
    people = {row["full_name"].encode() for row in read_rows(delivery.contacts_csv)}
    assert not [text for text in written if b"@" in text or any(name in text for name in people)]


async def texts_of(temporal_address: str, workflow_id: str) -> list[bytes]:
    """All texts in the histories of a run and its companies."""
    client = await connect(temporal_address)
    return [
        text
        async for execution in client.list_workflows(f"WorkflowId STARTS_WITH '{workflow_id}'")
        async for event in client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history_events()
        for text in texts_in(event)
    ]


def test_the_status_says_that_it_is_the_demo(stack: Terminal, delivery: Delivery) -> None:
    assert "DEMO" in stack.run("status", delivery.run_id).out


def test_a_repeated_request_fetches_nothing_twice(stack: Terminal, delivery: Delivery) -> None:
    bought = "SELECT count(*) FROM tool_results"
    before = stack.one(bought)
    second = stack.json("start", "--criteria", CRITERIA, "--quantity", "4", "--output-dir", "exports")
    assert second["status"] == "completed"
    assert len(read_rows(stack.directory / second["companies_csv"])) == 4
    assert stack.rows("SELECT tool, args FROM tool_results GROUP BY tool, args HAVING count(*) > 1") == []
    # New fetches belong to companies that the first run did not read. Their number varies.
    assert stack.one(bought) - before < before // 2
