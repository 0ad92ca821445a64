from pydantic import BaseModel, ConfigDict


class ImportCounts(BaseModel):
    """Counts of seeds or of suppressed companies. A duplicate entry counts once."""

    model_config = ConfigDict(frozen=True)

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
