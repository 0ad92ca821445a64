"""Where a fact comes from: a citation is the model's claim, evidence is what code found in the stored text.

``grounding/quotes.py`` turns citations into evidence. A delivered fact always has evidence.
"""

from pydantic import ConfigDict, Field

from domain.frozen_model import FrozenModel


class Citation(FrozenModel):
    """A tool result and the words that the model read there."""

    model_config = ConfigDict(extra="forbid")

    result_id: str = Field(description="The result_id of the tool result that holds the words.")
    quote: str = Field(description="The exact words, copied from that result, at most 300 characters.")


class Evidence(FrozenModel):
    """Words found in a stored tool result.

    Attributes:
        result_id: id of the row in ``tool_results``.
        url: page that holds the words; of a search result, the address that it lists.
        quote: the words as the source has them.
    """

    result_id: str
    url: str
    quote: str
