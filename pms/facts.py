"""Turns a PMS detection into company facts."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.company.facts import CompanyFacts
from domain.company.pms_detection import PmsDetection
from domain.evidence import Evidence


@dataclass(frozen=True)
class ReadPage:
    """A page that the detection used. ``url`` was requested; ``final_url`` answered."""

    result_id: str
    url: str
    final_url: str


def apply_detection(facts: CompanyFacts, detection: PmsDetection, pages: Sequence[ReadPage]) -> CompanyFacts:
    """Replace all facts about the PMS. The vendor's strongest signal is the evidence."""
    proof = next((signal for signal in detection.signals if signal.vendor == detection.vendor), None)
    evidence = None
    if proof is not None:
        # A redirect signal has the requested address, all others the final one.
        matching = [page for page in pages if page.url == proof.page_url]
        matching += [page for page in pages if page.final_url == proof.page_url]
        if matching:
            evidence = Evidence(result_id=matching[0].result_id, url=proof.page_url, quote=proof.evidence)
    return facts.model_copy(
        update={
            "pms_status": detection.status,
            "pms": detection.vendor,
            "pms_slug": detection.slug,
            "pms_reason": detection.reason,
            "pms_evidence": evidence,
        }
    )
