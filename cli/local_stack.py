"""Runs the local stack in the foreground, for ``starter.py local`` and ``start --local``."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli.common import Output
from local.stack import LocalStack, StackAddresses, StackOptions, running_stack
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.process import UserError
from runtime.services import Services, open_services
from settings import Settings


async def run_local_stack(options: StackOptions, out: Output) -> int:
    """Run the stack until Ctrl-C or SIGTERM. Raises UserError if a part does not start, or dies."""
    try:
        async with cancelled_by_signals(), local_session(options) as (stack, addresses):
            _print_addresses(out, addresses, options)
            try:
                raise UserError(await stack.wait_until_broken())
            except asyncio.CancelledError:
                out.print("\nStopping: the workers finish or reschedule their activities (up to 30 seconds) …")
                raise
    except asyncio.CancelledError:
        out.print("Stopped.")
        return 0


@asynccontextmanager
async def services_of_local_stack(settings: Settings, out: Output) -> AsyncIterator[tuple[Services, bool]]:
    """Yield connections to the local stack, and whether this command started it and stops it."""
    running = running_stack(settings.local_dir)
    if running is not None:
        async with open_services(settings, endpoints_of(running)) as services:
            yield services, False
        return
    options = stack_options(settings)
    out.print("Starting the local stack …")
    async with cancelled_by_signals(), local_session(options) as (stack, addresses), watched(stack):
        if addresses.temporal_ui_url:
            out.say(f"Temporal Web UI: {addresses.temporal_ui_url}")
        async with open_services(settings, endpoints_of(addresses)) as services:
            yield services, True


@asynccontextmanager
async def watched(stack: LocalStack) -> AsyncIterator[None]:
    """Restart workers that die while the block runs. Raises UserError if the stack breaks."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine always runs in a task
    watching = asyncio.create_task(stack.wait_until_broken())

    def end_block(_: asyncio.Task[str]) -> None:
        task.cancel()

    watching.add_done_callback(end_block)
    try:
        yield
    except asyncio.CancelledError:
        if not watching.done():
            raise
        task.uncancel()
        raise UserError(watching.result()) from None
    finally:
        watching.remove_done_callback(end_block)  # the stack's own end must not be cancelled
        watching.cancel()


@asynccontextmanager
async def cancelled_by_signals() -> AsyncIterator[None]:
    """Cancel the current task on Ctrl-C or SIGTERM, so that everything it started stops in order."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101  # a coroutine always runs in a task
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _print_addresses(out: Output, addresses: StackAddresses, options: StackOptions) -> None:
    out.say("The local stack is running. Ctrl-C stops it; its data stays.\n")
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
            out.say(f"{name:<18}{where}")
    if addresses.demo_seed is not None:
        out.print(f"DEMO, seed {addresses.demo_seed}: every company in it is fictional.", style="magenta")
    out.say("\nStart a run in another terminal: python starter.py start --help")
