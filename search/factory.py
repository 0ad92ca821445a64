"""The back end that the settings choose (``Settings.chosen_search``), made."""

import httpx2
from pydantic import SecretStr

from search.backend import SearchBackend
from search.brave import BraveSearch
from search.searxng import SearxngSearch
from search.serper import SerperSearch
from search.tavily import TavilySearch
from settings import Settings

SEARCH_SETTINGS = "SEARXNG_URL, SERPER_API_KEY, TAVILY_API_KEY, BRAVE_API_KEY or SEARCH_BACKEND=openai"
"""The settings of which one is enough, as a message names them."""

_OPENAI_BASE_URL = "https://api.openai.com/v1"


def make_backend(settings: Settings, http: httpx2.AsyncClient) -> SearchBackend | None:
    """The chosen back end on this client; None where none is chosen."""
    match settings.chosen_search:
        case "searxng":
            return SearxngSearch(http, settings.searxng_url or "")
        case "serper":
            return SerperSearch(http, settings.serper_base_url, _key(settings.serper_api_key))
        case "tavily":
            return TavilySearch(http, settings.tavily_base_url, _key(settings.tavily_api_key))
        case "brave":
            return BraveSearch(http, settings.brave_base_url, _key(settings.brave_api_key))
        case "openai":
            from search.openai_hosted import HostedSearch  # the model's client takes half a second to import

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
