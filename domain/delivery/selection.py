"""The companies that a run is about to deliver."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID


def selection_digest(company_ids: Sequence[UUID]) -> str:
    """What stands for these companies, in this order, in a history: ten thousand ids would not fit. 64 hexadecimal digits."""
    return sha256(b"".join(company_id.bytes for company_id in company_ids)).hexdigest()
