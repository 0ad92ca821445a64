"""Web search: one protocol, five back ends, chosen by settings. Their costs and limits are in ``docs/search.md``."""

from search.backend import SearchBackend, SearchHit, SearchUnavailableError
from search.factory import SEARCH_SETTINGS, make_backend
from search.searxng import SearxngSearch

__all__ = ["SEARCH_SETTINGS", "SearchBackend", "SearchHit", "SearchUnavailableError", "SearxngSearch", "make_backend"]
