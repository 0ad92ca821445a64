"""What an import changed."""

from pydantic import BaseModel, ConfigDict


class ImportCounts(BaseModel):
    """Number of seeds, or of companies for suppressions. An entry given twice counts once."""

    model_config = ConfigDict(frozen=True)

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
