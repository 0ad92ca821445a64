"""Entries of the suppression list (docs/domain.md, "Suppression"). ``store/companies/suppressions.py`` stores them."""

from datetime import datetime
from typing import Literal

from domain.company.identity import normalized_company_name
from domain.frozen_model import FrozenModel

SuppressionReason = Literal["customer", "contacted", "do_not_contact"]


class Suppression(FrozenModel):
    """A domain (or the host of one company's portal), a company name with its state, or both.

    An entry with the reason ``contacted`` but without ``contacted_at`` never expires.
    """

    domain: str | None = None
    name: str | None = None
    state: str | None = None
    reason: SuppressionReason
    contacted_at: datetime | None = None
    source: str

    @property
    def name_key(self) -> str | None:
        return normalized_company_name(self.name) if self.name else None

    @property
    def entry_key(self) -> str:
        """Unique per reason and company, so a repeated import updates the same entry."""
        return f"{self.reason}:{self.domain or f'{self.name_key}|{self.state}'}"
