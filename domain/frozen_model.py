"""The base of the domain's models."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A model whose fields cannot be assigned."""

    model_config = ConfigDict(frozen=True)
