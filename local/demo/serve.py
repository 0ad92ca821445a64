"""Runs parts of the demo (web, search, model) in one process and reports their addresses."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from pydantic import BaseModel, ConfigDict

from local.demo import search
from local.demo.web import DemoWeb
from local.demo.world import generate_world

PARTS = ("web", "search", "model")
_log = structlog.get_logger(__name__)


class Addresses(BaseModel):
    """The content of the ready file. A part that was not requested is None."""

    model_config = ConfigDict(frozen=True)

    web_proxy: str | None
    searxng_url: str | None
    openai_base_url: str | None
    seed: int


async def serve(
    *, seed: int, host: str, ports: dict[str, int], parts: tuple[str, ...], ready_file: Path | None
) -> None:
    """Serve the parts until SIGTERM or SIGINT, then stop cleanly. With port 0, choose a free one.

    The ready file is written atomically once every part accepts connections, and removed at the end.

    Raises:
        OSError: a port is taken.
        ImportError: the model was requested and is not installed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    world = generate_world(seed) if {"web", "search"} & set(parts) else None
    web = DemoWeb(world) if world and "web" in parts else None
    apps: dict[str, Any] = {}
    if web is not None:
        apps["web"] = web
    if world is not None and "search" in parts:
        apps["search"] = search.create_app(world)
    if "model" in parts:
        # Imported late, because most callers do not need the model.
        from local.demo.model.app import create_app

        apps["model"] = create_app()
    sockets = {part: _listen(host, ports.get(part, 0)) for part in apps}
    shown = f"[{host}]" if ":" in host else host
    urls = {part: f"http://{shown}:{sock.getsockname()[1]}" for part, sock in sockets.items()}
    servers = {part: _Server(_config(app)) for part, app in apps.items()}
    tasks = [asyncio.create_task(server.serve([sockets[part]]), name=part) for part, server in servers.items()]
    stopping = asyncio.create_task(stop.wait())
    try:
        await _started(list(servers.values()), tasks)
        if ready_file is not None:
            _write_atomically(ready_file, _addresses(urls, seed).model_dump_json())
        _log.info("demo_ready", seed=seed, **urls)
        await asyncio.wait((stopping, *tasks), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if web is not None:
            web.close()
        for server in servers.values():
            server.should_exit = True
        await asyncio.gather(*tasks)
        if ready_file is not None:
            _remove(ready_file)
    _log.info("demo_stopped", seed=seed)


class _Server(uvicorn.Server):
    """A uvicorn server without signal handlers. `serve` handles signals for all servers of the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _config(app: Any) -> uvicorn.Config:
    # h11 passes on the absolute URL of a proxy request as the path. httptools would reject CONNECT.
    return uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


async def _started(servers: list[_Server], tasks: list[asyncio.Task[None]]) -> None:
    while not all(server.started for server in servers):
        if any(task.done() for task in tasks):
            raise RuntimeError("a demo server ended before it accepted connections")
        await asyncio.sleep(0.01)


def _addresses(urls: dict[str, str], seed: int) -> Addresses:
    model = urls.get("model")
    return Addresses(
        web_proxy=urls.get("web"),
        searxng_url=urls.get("search"),
        openai_base_url=f"{model}/v1" if model else None,
        seed=seed,
    )


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)
