"""Fingerprint of the companies that a run is about to deliver."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID


def selection_digest(company_ids: Sequence[UUID]) -> str:
    """Return the SHA-256 hex digest of the ids in order. A workflow history cannot hold 10,000 ids."""
    return sha256(b"".join(company_id.bytes for company_id in company_ids)).hexdigest()
