"""What an import changed, whichever table it went to."""

from pydantic import BaseModel, ConfigDict


class ImportCounts(BaseModel):
    """Entries, or for suppressions and customers companies, by what became of them; an entry given twice counts once."""

    model_config = ConfigDict(frozen=True)

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
