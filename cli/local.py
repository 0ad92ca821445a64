"""``starter.py local`` and ``start --local``: the embedded stack in the foreground."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console

from local.stack import StackAddresses, StackOptions, running_stack
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.process import UserError
from runtime.services import Services, open_services
from settings import Settings


async def run_local_stack(options: StackOptions, console: Console) -> int:
    """Run the stack until Ctrl-C or SIGTERM; its data stays, and runs that are open go on at the next start.

    Raises:
        UserError: a part could not be started, or died.
    """
    try:
        async with cancelled_by_signals(), local_session(options) as (stack, addresses):
            _print_addresses(console, addresses, options)
            try:
                raise UserError(await stack.wait_until_broken())
            except asyncio.CancelledError:
                console.print("\nStopping: the workers hand back what they hold, which can take half a minute …")
                raise
    except asyncio.CancelledError:
        console.print("Stopped.")
        return 0


@asynccontextmanager
async def services_of_own_stack(settings: Settings, console: Console) -> AsyncIterator[Services]:
    """Connections to the stack that runs in ``LOCAL_DIR``; if none does, to one that lives as long as the block."""
    running = running_stack(settings.local_dir)
    if running is not None:
        async with open_services(settings, endpoints_of(running)) as services:
            yield services
        return
    options = stack_options(settings)
    console.print("Starting the local stack …")
    async with cancelled_by_signals(), local_session(options) as (_, addresses):
        if addresses.temporal_ui_url:
            console.print(f"Temporal Web UI: {addresses.temporal_ui_url}", highlight=False)
        async with open_services(settings, endpoints_of(addresses)) as services:
            yield services


@asynccontextmanager
async def cancelled_by_signals() -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM cancel the present task, so that what it has started is stopped in order."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None:
        raise RuntimeError("signals are taken for a task")
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _print_addresses(console: Console, addresses: StackAddresses, options: StackOptions) -> None:
    console.print("The local stack is running. Ctrl-C stops it; its data stays.\n")
    parts = [
        ("Temporal", addresses.temporal_address),
        ("Temporal Web UI", addresses.temporal_ui_url or "the configured server's own"),
        ("Postgres", f"its connection string is in {options.directory}/stack.json"),
        ("demo web (proxy)", addresses.web_proxy),
        ("demo search", addresses.searxng_url),
        ("demo model", addresses.openai_base_url),
    ]
    for name, where in parts:
        if where:
            console.print(f"{name:<18}{where}", highlight=False, soft_wrap=True)
    if addresses.demo_seed is not None:
        console.print(f"DEMO, seed {addresses.demo_seed}: every company in it is fictional.", style="magenta")
    console.print("\nStart a run in another terminal: python starter.py start --help", highlight=False)
