"""Which back end is used: the one that ``SEARCH_BACKEND`` names, else the first whose address or key is set."""

import httpx2
from pydantic import SecretStr

from settings import SearchBackendName, Settings
from tools.search.backend import SearchBackend
from tools.search.brave import BraveSearch
from tools.search.searxng import SearxngSearch
from tools.search.serper import SerperSearch
from tools.search.tavily import TavilySearch

CHOICES = "SEARXNG_URL, SERPER_API_KEY, TAVILY_API_KEY, BRAVE_API_KEY or SEARCH_BACKEND=openai"
"""The settings of which one is enough, as a message names them."""

_OPENAI_BASE_URL = "https://api.openai.com/v1"


def chosen_backend(settings: Settings) -> SearchBackendName | None:
    """The back end that the settings choose; None where they choose none.

    OpenAI's is chosen by its name only: its key is set for the model, and does not say that searches may cost money too.
    """
    if settings.search_backend is not None:
        return settings.search_backend
    given: tuple[tuple[SearchBackendName, object], ...] = (
        ("searxng", settings.searxng_url),
        ("serper", settings.serper_api_key),
        ("tavily", settings.tavily_api_key),
        ("brave", settings.brave_api_key),
    )
    return next((name for name, value in given if value is not None), None)


def make_backend(settings: Settings, http: httpx2.AsyncClient) -> SearchBackend | None:
    """The chosen back end on this client; None where none is chosen."""
    match chosen_backend(settings):
        case "searxng":
            return SearxngSearch(http, settings.searxng_url or "")
        case "serper":
            return SerperSearch(http, settings.serper_base_url, _key(settings.serper_api_key))
        case "tavily":
            return TavilySearch(http, settings.tavily_base_url, _key(settings.tavily_api_key))
        case "brave":
            return BraveSearch(http, settings.brave_base_url, _key(settings.brave_api_key))
        case "openai":
            from tools.search.hosted import HostedSearch  # the model's client takes half a second to import

            return HostedSearch(
                http,
                settings.openai_base_url or _OPENAI_BASE_URL,
                _key(settings.openai_api_key),
                settings.openai_model,
                settings.model_timeout_s,
                settings.model_output_tokens_max,
            )
        case None:
            return None


def _key(key: SecretStr | None) -> SecretStr:
    """A key that is there: settings refuse a named back end without one (``Settings.search_backend``)."""
    return key or SecretStr("")
