"""Web search: one protocol, five back ends. Their costs and limits are in ``docs/search.md``."""
