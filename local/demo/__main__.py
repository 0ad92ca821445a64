"""Command line of the demo: `python -m local.demo truth | suppressions | serve`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from local.demo import truth as gold
from local.demo.serve import PARTS
from local.demo.serve import serve as serve_parts
from local.demo.world import DEFAULT_SEED, generate_world

app = typer.Typer(help="A synthetic web of fictional property management companies.", no_args_is_help=True)
Seed = Annotated[int, typer.Option(envvar="DEMO_SEED", help="The same seed gives the same world.")]


@app.command()
def truth(
    seed: Seed = DEFAULT_SEED,
    as_json: Annotated[bool, typer.Option("--json", help="The whole gold table instead of a summary.")] = False,
) -> None:
    """Print what a perfect reader of the demo web would find."""
    world = generate_world(seed)
    typer.echo(gold.gold_table(world).model_dump_json(indent=1) if as_json else gold.summary(world), nl=as_json)


@app.command()
def suppressions(seed: Seed = DEFAULT_SEED) -> None:
    """Print the customer's suppression list as CSV."""
    typer.echo(gold.suppressions_csv(generate_world(seed)), nl=False)


@app.command()
def serve(
    seed: Seed = DEFAULT_SEED,
    host: str = "127.0.0.1",
    web_port: int = 0,
    search_port: int = 0,
    model_port: int = 0,
    parts: Annotated[str, typer.Option(help="Comma-separated: web, search, model.")] = "web,search,model",
    ready_file: Annotated[Path | None, typer.Option(help="Written when every part accepts connections.")] = None,
) -> None:
    """Serve the demo until SIGTERM or SIGINT. With port 0, choose a free one."""
    asked = tuple(dict.fromkeys(part.strip() for part in parts.split(",") if part.strip()))
    unknown = [part for part in asked if part not in PARTS]
    if unknown or not asked:
        raise typer.BadParameter(f"unknown part {', '.join(unknown) or '(none)'}; choose from {', '.join(PARTS)}")
    ports = {"web": web_port, "search": search_port, "model": model_port}
    asyncio.run(serve_parts(seed=seed, host=host, ports=ports, parts=asked, ready_file=ready_file))


if __name__ == "__main__":
    app()
