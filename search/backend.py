"""The protocol of search back ends: hits, or an error that says whether a retry can help."""

from datetime import timedelta
from typing import Protocol

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.failures import SEARCH_UNAVAILABLE
from settings import SearchBackendName

_RETRY_DELAY_MAX_S = 300.0  # as for the model (agents/errors.py)


class SearchHit(BaseModel):
    """One result. The aliases are the field names of the services."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(validation_alias=AliasChoices("url", "link"))
    title: str = ""
    content: str = Field(default="", validation_alias=AliasChoices("content", "snippet", "description"))

    @field_validator("title", "content", mode="before")
    @classmethod
    def _null_is_empty(cls, text: object) -> object:
        return "" if text is None else text

    @field_validator("url", "title", "content")
    @classmethod
    def _storable(cls, text: str) -> str:
        return text.replace("\x00", "")


class SearchBackend(Protocol):
    @property
    def name(self) -> SearchBackendName:
        """Part of the cache key, so each back end has its own results."""

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """Return the hits of one page (from 1), with http(s) addresses. An empty list means no results.

        Raises:
            SearchUnavailableError: no answer, an error status, or an answer in another format.
        """


class SearchUnavailableError(ApplicationError):
    """The back end did not answer. Temporal does not retry if the refusal is permanent.

    ``Retry-After`` becomes the next retry delay, up to five minutes.

    Attributes:
        reason: short code, such as ``timeout``, ``http_503``, ``not_serper_json`` or ``unauthorized_SERPER_API_KEY``.
    """

    def __init__(
        self, reason: str, *, retry_after_s: float | None = None, advice: str = "", permanent: bool = False
    ) -> None:
        super().__init__(
            f"web search did not answer: {reason}" + (f" ({advice})" if advice else ""),
            type=SEARCH_UNAVAILABLE,
            non_retryable=permanent,
            next_retry_delay=None
            if retry_after_s is None
            else timedelta(seconds=min(retry_after_s, _RETRY_DELAY_MAX_S)),
            # BENIGN: a 429 is not counted as a failure in logs and metrics.
            category=ApplicationErrorCategory.BENIGN if reason == "http_429" else ApplicationErrorCategory.UNSPECIFIED,
        )
        self.reason = reason
        self.retry_after_s = retry_after_s
