"""Whether what a run depends on answers again after an outage. Asked cheaply: nothing here is paid for."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import httpx2
import openai
import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from crm.hubspot import HubSpotAccessDeniedError, HubSpotCompanies, HubSpotUnavailableError
from domain.activity_io import DependencyCheckInput
from domain.failures import STILL_DOWN, Dependency
from settings import SearchBackendName, Settings
from store.database import Database

log = structlog.get_logger()

_TIMEOUT_S = 10.0


class DependencyActivities:
    """Checks, with the clients that the work itself uses."""

    def __init__(
        self,
        database: Database,
        model: openai.AsyncOpenAI,
        settings: Settings,
        http: httpx2.AsyncClient,
        crm: HubSpotCompanies | None,
    ) -> None:
        self._database = database
        self._model = model
        self._settings = settings
        self._http = http
        self._crm = crm

    @activity.defn
    async def check_dependencies(self, params: DependencyCheckInput) -> None:
        """See that all of these answer. Stores nothing, so it may run any number of times.

        An answer is one that a server in order gives: a list of models or an error of ours, but no 429 and no 5xx. It does
        not promise that the next call works; the run tries with one step first.

        Raises:
            ApplicationError: ``DependencyStillDown``, retryable: one does not answer yet; the message names it.
            psycopg.OperationalError: the database does not answer yet.
        """
        checks: dict[Dependency, Callable[[], Awaitable[bool]]] = {
            Dependency.DATABASE: self._database_answers,
            Dependency.MODEL: self._model_answers,
            Dependency.SEARCH: self._search_answers,
            Dependency.CRM: self._crm_answers,
        }
        silent = [dependency.value for dependency in params.dependencies if not await checks[dependency]()]
        if silent:
            log.info("dependencies_still_down", dependencies=silent, attempt=activity.info().attempt)
            raise ApplicationError(
                f"no answer yet from: {', '.join(silent)}", type=STILL_DOWN, category=ApplicationErrorCategory.BENIGN
            )
        log.info("dependencies_answer", dependencies=[dependency.value for dependency in params.dependencies])

    async def _database_answers(self) -> bool:
        async with self._database.transaction() as conn:
            await conn.execute("SELECT 1")
        return True

    async def _model_answers(self) -> bool:
        try:
            await self._model.models.with_raw_response.list(timeout=_TIMEOUT_S)
        except openai.APIStatusError as error:
            return _is_in_order(error.status_code)
        except openai.APIError:
            return False
        return True

    async def _search_answers(self) -> bool:
        base_url = _base_url_of_search(self._settings)
        if base_url is None:
            return await self._model_answers()  # the model's own hosted search, or none
        try:
            response = await self._http.get(base_url, timeout=_TIMEOUT_S)
        except (httpx2.TransportError, httpx2.InvalidURL):
            return False
        return _is_in_order(response.status_code)

    async def _crm_answers(self) -> bool:
        if self._crm is None:
            return True
        try:
            # Nobody's, and never asked before: answers are kept for a while.
            await self._crm.look_up([f"{uuid4().hex}.example"])
        except (HubSpotUnavailableError, HubSpotAccessDeniedError):
            return False
        return True


def _is_in_order(status: int) -> bool:
    """Whether a server that gives this status works: also one that has no such page (the others of its pages may be there)."""
    return status != httpx2.codes.TOO_MANY_REQUESTS and status < httpx2.codes.INTERNAL_SERVER_ERROR


def _base_url_of_search(settings: Settings) -> str | None:
    addresses: dict[SearchBackendName, str | None] = {
        "searxng": settings.searxng_url,
        "serper": settings.serper_base_url,
        "tavily": settings.tavily_base_url,
        "brave": settings.brave_base_url,
    }
    name = settings.chosen_search
    return addresses.get(name) if name is not None else None
