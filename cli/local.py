"""``starter.py local``: run the local stack until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from cli.common import Output, async_command
from runtime.logs import configure_logging
from runtime.process import load_settings

PortOption = Annotated[int | None, typer.Option(min=1, max=65535, help="Default: any free port.")]


@async_command
async def local(
    workers: Annotated[int | None, typer.Option(min=1, max=32, help="How many workers.")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="Directory for its data (LOCAL_DIR).")] = None,
    temporal_port: PortOption = None,
    ui_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Default: the previous port, if it is free.")
    ] = None,
    postgres_port: PortOption = None,
) -> int:
    """Run the local stack until Ctrl-C. Its data stays, and open runs continue at the next start."""
    # The local stack is an optional extra, so it may not be installed.
    from cli.local_stack import run_local_stack
    from runtime.local_session import stack_options

    settings = load_settings()
    configure_logging(settings)
    options = stack_options(
        settings,
        directory=directory,
        workers=workers,
        temporal_port=temporal_port,
        ui_port=ui_port,
        postgres_port=postgres_port,
    )
    return await run_local_stack(options, Output())
