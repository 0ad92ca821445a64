"""What a paid verification service for e-mail addresses would have to offer. None is built in."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.email_status import ProviderVerdict


class EmailVerifier(Protocol):
    """A verification provider. It is asked about inferred addresses alone: one that a page prints needs no second word."""

    async def verify(self, emails: Sequence[str]) -> Mapping[str, ProviderVerdict]:
        """The provider's word on each address; one that is missing is ``unknown``.

        An implementation stores each answer when it arrives and reads it from there when the step is tried again, so that
        nothing is bought twice, and raises its failures typed (``domain/failures.py``).
        """
        ...
