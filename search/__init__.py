"""Web search: one protocol, five back ends. ``docs/search.md`` has their costs and limits."""
