"""``starter.py setup``: prepare the database and Temporal."""

from cli.common import JsonOption, Output, async_command
from runtime.process import load_settings
from usecases.doctor import set_up


@async_command
async def setup(as_json: JsonOption = False) -> int:
    """Apply migrations and register search attributes. Safe to run at any time."""
    out = Output(as_json)
    done = await set_up(load_settings())
    out.document(done)
    for name, items in done.items():
        out.say(f"{name}: {', '.join(items) or 'nothing to do'}")
    return 0
