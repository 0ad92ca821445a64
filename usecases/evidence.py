"""The evidence for each cell of a run's files. Needs only the database."""

from typing import Any

from activities.export import selected_companies
from domain.delivery.evidence_cells import evidence_cells
from store.database import Connection
from store.delivery.evidence import CompanyEvidence, load_evidence
from store.runs.runs import RunRow
from usecases.find import find_company


async def evidence_of(conn: Connection, run: RunRow, company: str | None) -> list[CompanyEvidence]:
    """Return the companies that a run delivers, in order, or only the one that ``company`` names.

    Raises:
        UserError: no company matches the text, or several do.
    """
    if company is None:
        return await load_evidence(conn, await selected_companies(conn, run))
    return await load_evidence(conn, [(await find_company(conn, run, company)).company_id])


def evidence_document(company: CompanyEvidence) -> dict[str, Any]:
    standing = company.model_dump(mode="json", exclude={"record"})
    cells = [cell.model_dump(mode="json") for cell in evidence_cells(company.record)]
    return {"company_name": company.record.name, "domain": company.record.domain, **standing, "cells": cells}
