"""How every process starts and ends: settings, errors for people, and the exit."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from settings import Settings

ResultT = TypeVar("ResultT")

# The Temporal SDK can crash the interpreter at exit, after all work has succeeded (temporalio/sdk-python#300): in 8 to
# 28 % of our trials. With a short wait before the exit it crashed in 0 of 144 trials, with os._exit in 0 of 60.
_SETTLE_S = 0.25


class UserError(Exception):
    """An error that the person at the terminal can fix. The message says what is wrong and what to do."""

    exit_code = 2


def load_settings() -> Settings:
    """Load the settings. Raises UserError for the first one that is not valid."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(map(str, first["loc"])).upper()
        raise UserError(f"the setting {name} is not valid: {first['msg']} (it is {first['input']!r})") from error


def run_async(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine in a process that continues afterwards. A process that ends calls ``leave`` instead."""

    async def settled() -> ResultT:
        try:
            return await main
        finally:
            await asyncio.sleep(_SETTLE_S)

    return asyncio.run(settled())


def leave(code: int) -> NoReturn:
    """End the process without waiting for native threads (see ``_SETTLE_S``)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
