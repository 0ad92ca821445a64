"""A detection as facts of a company. Pure; where the pages come from and where the facts are kept is the callers' concern."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.company.facts import CompanyFacts
from domain.company.pms_detection import PmsDetection
from domain.evidence import Evidence


@dataclass(frozen=True)
class ReadPage:
    """A page that the detection was made from: the stored result, the address asked for and the one that answered."""

    result_id: str
    url: str
    final_url: str


def apply_detection(facts: CompanyFacts, detection: PmsDetection, pages: Sequence[ReadPage]) -> CompanyFacts:
    """The facts with everything about the software replaced by what a detection says; nothing else changes.

    Proof is the strongest signal of the vendor found; a signal names the address that was asked for (a redirect) or the
    one that answered, so its stored result is looked for in this order.
    """
    proof = next((signal for signal in detection.signals if signal.vendor == detection.vendor), None)
    page = next((page for page in pages if proof and page.url == proof.page_url), None)
    page = page or next((page for page in pages if proof and page.final_url == proof.page_url), None)
    evidence = Evidence(result_id=page.result_id, url=proof.page_url, quote=proof.evidence) if proof and page else None
    return facts.model_copy(
        update={
            "pms_status": detection.status,
            "pms": detection.vendor,
            "pms_slug": detection.slug,
            "pms_reason": detection.reason,
            "pms_evidence": evidence,
        }
    )
