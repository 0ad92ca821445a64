"""``starter.py setup``: prepare the servers."""

from cli.common import JsonOption, async_command, make_console, print_json, say
from runtime.process import load_settings
from usecases.doctor import set_up


@async_command
async def setup(as_json: JsonOption = False) -> int:
    """Apply migrations and register search attributes. Safe to run at any time."""
    done = await set_up(load_settings())
    if as_json:
        print_json(done)
    for name, items in done.items():
        say(make_console(as_json), f"{name}: {', '.join(items) or 'nothing to do'}")
    return 0
