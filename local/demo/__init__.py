"""The demo: a synthetic web, a search endpoint and a scripted model (`model/`), all over real HTTP."""
