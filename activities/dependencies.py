"""Check whether dependencies answer again after an outage. The checks cost nothing."""

from uuid import uuid4

import httpx2
import openai
import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from crm.hubspot import HubSpotAccessDeniedError, HubSpotCompanies, HubSpotUnavailableError
from domain.activity_io import DependencyCheckInput
from domain.failures import STILL_DOWN, Dependency
from settings import Settings
from store.database import Database

log = structlog.get_logger()

_TIMEOUT_S = 10.0


class DependencyActivities:
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
        """Raise an error unless all dependencies answer. Stores nothing.

        A 429 or 5xx is no answer. The next call may still fail, so the run tries one company first.

        Raises:
            ApplicationError: ``DependencyStillDown``, retryable. The message names the dependencies.
            psycopg.OperationalError: the database does not answer.
        """
        silent = [dependency.value for dependency in params.dependencies if not await self._answers(dependency)]
        if silent:
            log.info("dependencies_still_down", dependencies=silent, attempt=activity.info().attempt)
            raise ApplicationError(
                f"no answer yet from: {', '.join(silent)}", type=STILL_DOWN, category=ApplicationErrorCategory.BENIGN
            )
        log.info("dependencies_answer", dependencies=[dependency.value for dependency in params.dependencies])

    async def _answers(self, dependency: Dependency) -> bool:
        match dependency:
            case Dependency.DATABASE:
                async with self._database.transaction() as conn:
                    await conn.execute("SELECT 1")
                return True
            case Dependency.MODEL:
                return await self._model_answers()
            case Dependency.SEARCH:
                return await self._search_answers()
            case Dependency.CRM:
                return await self._crm_answers()

    async def _model_answers(self) -> bool:
        try:
            await self._model.models.with_raw_response.list(timeout=_TIMEOUT_S)
        except openai.APIStatusError as error:
            return _is_healthy(error.status_code)
        except openai.APIError:
            return False
        return True

    async def _search_answers(self) -> bool:
        settings = self._settings
        base_url = {
            "searxng": settings.searxng_url,
            "serper": settings.serper_base_url,
            "tavily": settings.tavily_base_url,
            "brave": settings.brave_base_url,
        }.get(settings.chosen_search or "")
        if base_url is None:
            return await self._model_answers()  # the model's own hosted search
        try:
            response = await self._http.get(base_url, timeout=_TIMEOUT_S)
        except (httpx2.TransportError, httpx2.InvalidURL):
            return False
        return _is_healthy(response.status_code)

    async def _crm_answers(self) -> bool:
        if self._crm is None:
            return True
        try:
            await self._crm.look_up([f"{uuid4().hex}.example"])  # a new name, because answers are cached
        except (HubSpotUnavailableError, HubSpotAccessDeniedError):
            return False
        return True


def _is_healthy(status: int) -> bool:
    return status != httpx2.codes.TOO_MANY_REQUESTS and status < httpx2.codes.INTERNAL_SERVER_ERROR
