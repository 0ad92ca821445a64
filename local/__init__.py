"""The embedded stack: Postgres, Temporal's dev server and the demo, without Docker."""
