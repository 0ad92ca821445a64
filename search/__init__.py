"""Web search: one protocol, five back ends, chosen by settings. What each costs and its limits: ``docs/search.md``.

Not here: cache, storage and the model's view of a result (``web/gateway.py``, ``agents/tool_calls.py``).
"""

from search.backend import SearchBackend, SearchHit, SearchUnavailableError
from search.factory import SEARCH_SETTINGS, make_backend
from search.searxng import SearxngSearch

__all__ = [
    "SEARCH_SETTINGS",
    "SearchBackend",
    "SearchHit",
    "SearchUnavailableError",
    "SearxngSearch",
    "make_backend",
]
