"""A short stand-in for the companies that a run is about to deliver."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID


def selection_digest(company_ids: Sequence[UUID]) -> str:
    """64 hexadecimal digits for these ids in this order. Ten thousand ids would not fit in a workflow history."""
    return sha256(b"".join(company_id.bytes for company_id in company_ids)).hexdigest()
