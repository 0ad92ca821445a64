"""The demo: a synthetic web, its search endpoint and (in `model/`) a scripted model, all over real HTTP."""
