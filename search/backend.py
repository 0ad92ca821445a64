"""What a search back end is to the rest: hits, or an error that says what a retry is worth. Nothing is sent from here."""

from datetime import timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict, field_validator
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.failures import SEARCH_UNAVAILABLE
from settings import SearchBackendName

_RETRY_DELAY_MAX = timedelta(minutes=5)  # as for the model's service (agents/errors.py)


class SearchHit(BaseModel):
    """One result: address, title and the snippet shown under it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    title: str = ""
    content: str = ""

    @field_validator("url", "title", "content")
    @classmethod
    def _storable(cls, text: str) -> str:
        return text.replace("\x00", "")


class SearchBackend(Protocol):
    """A service that answers a query with hits."""

    @property
    def name(self) -> SearchBackendName:
        """What a stored result says of its origin: the same query elsewhere is another question."""

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """Hits of one page (1 is the first), http(s) addresses only. Empty means that there are none, and nothing else.

        Raises:
            SearchUnavailableError: no answer, an error status, or an answer that is not this service's.
        """


class SearchUnavailableError(ApplicationError):
    """The back end did not give an answer. It reaches Temporal as it is: a refusal that waiting does not mend is not
    retried, and what a server asks for with ``Retry-After`` is the next delay, up to five minutes.

    Attributes:
        reason: short code, such as ``timeout``, ``http_503``, ``not_serper_json`` or ``unauthorized_SERPER_API_KEY``.
        retry_after_s: the pause that the server asks for; None where it asks for none.
    """

    def __init__(
        self, reason: str, *, retry_after_s: float | None = None, advice: str = "", permanent: bool = False
    ) -> None:
        super().__init__(
            f"web search did not answer: {reason}" + (f" ({advice})" if advice else ""),
            type=SEARCH_UNAVAILABLE,
            non_retryable=permanent,
            next_retry_delay=None if retry_after_s is None else _delay(retry_after_s),
            # A wish to slow down is no defect: it does not count as a failure in logs and metrics.
            category=ApplicationErrorCategory.BENIGN if reason == "http_429" else ApplicationErrorCategory.UNSPECIFIED,
        )
        self.reason = reason
        self.retry_after_s = retry_after_s


def _delay(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, _RETRY_DELAY_MAX.total_seconds()))
