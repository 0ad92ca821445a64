"""What an entry of the suppression list says and by what key it is kept. Pure; the list itself is ``store/companies/suppressions.py``."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.company.identity import normalized_company_name

SuppressionReason = Literal["customer", "contacted", "do_not_contact"]


class Suppression(BaseModel):
    """One entry: a domain (registrable, or the host of one company's portal), or a company name with its state, or both.

    Attributes:
        contacted_at: when, for the reason ``contacted``; without it the entry always counts.
        source: where the entry comes from, such as the name of the imported file.
    """

    model_config = ConfigDict(frozen=True)

    domain: str | None = None
    name: str | None = None
    state: str | None = None
    reason: SuppressionReason
    contacted_at: datetime | None = None
    source: str

    @property
    def name_key(self) -> str | None:
        """The name as the gate compares it (DOMAIN, "Suppression": normalised name + state)."""
        return normalized_company_name(self.name) if self.name else None

    @property
    def entry_key(self) -> str:
        """One entry per reason and company; imported again, it is the same entry."""
        return f"{self.reason}:{self.domain or f'{self.name_key}|{self.state}'}"
