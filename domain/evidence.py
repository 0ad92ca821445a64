"""Sources of facts. A citation is what the model claims. Evidence is what code found in the stored text.

``grounding/quotes.py`` turns citations into evidence.
"""

from pydantic import ConfigDict, Field

from domain.frozen_model import FrozenModel


class Citation(FrozenModel):
    """A tool result and the words that the model read there."""

    model_config = ConfigDict(extra="forbid")

    result_id: str = Field(description="The result_id of the tool result that holds the words.")
    quote: str = Field(description="The exact words, copied from that result, at most 300 characters.")


class Evidence(FrozenModel):
    """Words found in a stored tool result. ``result_id`` is its row in ``tool_results``.

    ``url`` is the page with the words. For a search result, it is the URL that the result lists.
    """

    result_id: str
    url: str
    quote: str
