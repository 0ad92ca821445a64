"""``starter.py doctor``: check the setup."""

from cli.common import JsonOption, Output, async_command
from runtime.process import load_settings
from usecases.doctor import examine


@async_command
async def doctor(as_json: JsonOption = False) -> int:
    """Check what works, what is missing and how to fix it. Exits with 1 if something is missing."""
    out = Output(as_json)
    findings = await examine(load_settings())
    out.document({"findings": [finding.model_dump() for finding in findings]})
    for finding in findings:
        out.print("[green]ok[/]     " if finding.ok else "[red]missing[/]", end=" ")
        out.say(f"{finding.part}: {finding.detail}")
    return 0 if all(finding.ok for finding in findings) else 1
