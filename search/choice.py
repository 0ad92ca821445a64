"""Creates the search back end that the settings choose."""

import httpx2
from pydantic import SecretStr

from search.backend import SearchBackend
from search.brave import BraveSearch
from search.openai_hosted import HostedSearch
from search.searxng import SearxngSearch
from search.serper import SerperSearch
from search.tavily import TavilySearch
from settings import Settings

SEARCH_SETTINGS = "SEARXNG_URL, SERPER_API_KEY, TAVILY_API_KEY, BRAVE_API_KEY or SEARCH_BACKEND=openai"
"""The settings that choose a back end."""

_OPENAI_BASE_URL = "https://api.openai.com/v1"
_NO_KEY = SecretStr("")  # never used: the settings require a key


def make_backend(settings: Settings, http: httpx2.AsyncClient) -> SearchBackend | None:
    match settings.chosen_search:
        case "searxng":
            return SearxngSearch(http, settings.searxng_url or "")
        case "serper":
            return SerperSearch(http, settings.serper_base_url, settings.serper_api_key or _NO_KEY)
        case "tavily":
            return TavilySearch(http, settings.tavily_base_url, settings.tavily_api_key or _NO_KEY)
        case "brave":
            return BraveSearch(http, settings.brave_base_url, settings.brave_api_key or _NO_KEY)
        case "openai":
            return HostedSearch(
                http,
                settings.openai_base_url or _OPENAI_BASE_URL,
                settings.openai_api_key or _NO_KEY,
                settings.openai_model,
                settings.model_timeout_s,
                settings.model_output_tokens_max,
            )
        case None:
            return None
