"""Whether a dependency answers again, asked of real servers."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import uuid4

import httpx2
import openai
import psycopg
import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.dependencies import DependencyActivities
from crm.hubspot import hubspot_client
from domain.activity_io import DependencyCheckInput
from domain.failures import STILL_DOWN, Dependency, outage_of
from settings import Settings
from store.database import Database
from tests.conftest import database_away
from tests.http_server import Reply, Request, json_reply, serving

NOWHERE = "http://127.0.0.1:9"
Checked = Callable[..., Awaitable[bool]]


@pytest.fixture
def checked(plain_environment: None, impatient_database: Database) -> Checked:
    """Whether a dependency answers, with all of them at one address."""

    async def check(dependency: Dependency, url: str) -> bool:
        settings = Settings(
            _env_file=None,
            openai_api_key=SecretStr("none"),
            openai_base_url=url,
            searxng_url=url,
            hubspot_token=SecretStr("none"),
            hubspot_base_url=url,
        )
        async with (
            httpx2.AsyncClient(trust_env=False) as http,
            openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as model,
        ):
            activities = DependencyActivities(impatient_database, model, settings, http, hubspot_client(settings, http))
            params = DependencyCheckInput(run_id=uuid4(), dependencies=(dependency,))
            try:
                await ActivityEnvironment().run(activities.check_dependencies, params)
            except ApplicationError as error:
                assert (error.type, error.non_retryable) == (STILL_DOWN, False)
                assert dependency.value in str(error)
                return False
            return True

    return check


def answered(reply: Reply, _: Request) -> Reply:
    return reply


OUTSIDE = [Dependency.MODEL, Dependency.SEARCH, Dependency.CRM]


@pytest.mark.parametrize("dependency", OUTSIDE, ids=lambda dependency: dependency.name)
async def test_an_unreachable_or_failing_service_is_down(checked: Checked, dependency: Dependency) -> None:
    assert not await checked(dependency, NOWHERE)
    for reply in (json_reply({}, 429), json_reply({}, 503)):
        async with serving(partial(answered, reply)) as server:
            assert not await checked(dependency, server.url)


@pytest.mark.parametrize("dependency", OUTSIDE, ids=lambda dependency: dependency.name)
async def test_a_service_that_answers_is_back(checked: Checked, dependency: Dependency) -> None:
    async with serving(lambda _: json_reply({"object": "list", "data": [], "results": [], "total": 0})) as server:
        assert await checked(dependency, server.url)


async def test_a_model_server_without_a_list_of_models_is_back(checked: Checked) -> None:
    async with serving(lambda _: json_reply({}, 404)) as server:
        assert await checked(Dependency.MODEL, server.url)


async def test_the_database_answers_while_it_is_there(checked: Checked, database_url: str) -> None:
    assert await checked(Dependency.DATABASE, NOWHERE)
    async with database_away(database_url):
        with pytest.raises(psycopg.OperationalError) as error:
            await checked(Dependency.DATABASE, NOWHERE)
        outage = outage_of(type(error.value).__name__, "", non_retryable=False)
        assert outage is not None, "Temporal retries"
        assert outage.dependency is Dependency.DATABASE
