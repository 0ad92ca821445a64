"""What a fact rests on: a citation (as the model gives it) and evidence (as code has found it again).

A citation is a claim. It becomes evidence only when the quoted words are found in the stored text of the
named tool result (``grounding/quotes.py``). Nothing without evidence reaches a delivered cell (DESIGN, promise 3).
"""

from pydantic import BaseModel, ConfigDict, Field


class Citation(BaseModel):
    """Where the model says a value stands: the id of a tool result it was shown and the words it read there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    result_id: str = Field(description="The result_id of the tool result that holds the words.")
    quote: str = Field(description="The exact words, copied from that result, at most 300 characters.")


class Evidence(BaseModel):
    """Words that code found again in a stored tool result.

    Attributes:
        result_id: id of the row in ``tool_results``.
        url: page the words stand on; for a search result, the address that it lists.
        quote: the words, as the source has them.
    """

    model_config = ConfigDict(frozen=True)

    result_id: str
    url: str
    quote: str
