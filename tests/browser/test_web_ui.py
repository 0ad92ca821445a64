"""Temporal's Web UI shows that a run waits and what it asks, and can answer it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.e2e.terminal import Terminal

DENVER = {"pms": "Buildium", "city": "Denver", "state": "CO"}
FLAGS = (
    "--no-sandbox --headless --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run --disable-quic"
).split()
# The first page loads 5 MB of scripts.
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def asking(stack: Terminal) -> dict[str, Any]:
    """A run that waits for a decision."""
    return stack.start(DENVER, 3, code=3)


@pytest.fixture(scope="module")
async def page(stack: Terminal, asking: dict[str, Any]) -> AsyncIterator[Page]:
    """A browser at the run's page."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = await browser.new_page(viewport={"width": 1500, "height": 1300})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        base = stack.addresses().temporal_ui_url
        await page.goto(f"{base}/namespaces/default/workflows/{asking['workflow_id']}", wait_until="domcontentloaded")
        yield page
        await browser.close()


async def test_the_timeline_shows_the_decision(page: Page, asking: dict[str, Any], tmp_path: Path) -> None:
    label = f"NEEDS USER DECISION {asking['decision']['decision_id']}"
    marker = page.get_by_role("button", name=re.compile(r"^Event \d+ .*: Started$")).filter(has_text=label)
    await expect(marker.or_(page.locator("text", has_text=label)).first).to_be_visible()
    await page.screenshot(path=tmp_path / "timeline.png")


async def test_the_details_hold_the_question_and_its_answers(
    page: Page, asking: dict[str, Any], tmp_path: Path
) -> None:
    await (
        page.get_by_role("link", name="User Metadata").or_(page.get_by_role("tab", name="User Metadata")).first.click()
    )
    details = page.frame_locator("iframe").last.locator("body")
    await expect(details).to_contain_text(asking["decision"]["message"])
    text = await details.inner_text()
    for option in asking["decision"]["options"]:
        assert option["description"] in text
    shown = [json.loads(line) for line in text.splitlines() if line.startswith('{"')]
    assert shown == [option["answer"] for option in asking["decision"]["options"]]
    summary = page.frame_locator("iframe").first.locator("body")
    await expect(summary).to_contain_text("3 companies on Buildium in Denver, CO")
    await page.screenshot(path=tmp_path / "details.png")


async def test_an_answer_from_the_ui_continues_the_run(
    page: Page, stack: Terminal, asking: dict[str, Any], tmp_path: Path
) -> None:
    [answer] = [o["answer"] for o in asking["decision"]["options"] if o["action"] == "accept_partial"]
    await page.get_by_role("button", name="More Actions").locator("visible=true").first.click()
    await page.get_by_role("menuitem", name="Send a Signal").locator("visible=true").first.click()
    form = page.get_by_role("dialog").locator("visible=true")
    await form.get_by_test_id("signal-select-button").click()
    await form.get_by_role("option", name="resolve_decision").click()
    editor = form.locator(".cm-content").first
    await editor.click()
    await page.keyboard.insert_text(json.dumps(answer))
    await page.screenshot(path=tmp_path / "signal.png")
    await form.get_by_role("button", name="Submit").click()
    await expect(form).to_have_count(0)

    done = stack.json("watch", asking["run_id"])
    assert (done["status"], done["partial"]) == ("completed", True)
    assert done["companies"]["ready"] == asking["companies"]["ready"] > 0
    await page.reload(wait_until="domcontentloaded")
    await expect(page.get_by_text("Completed", exact=True).locator("visible=true").first).to_be_visible()
    await page.screenshot(path=tmp_path / "completed.png")
