"""Renders the run's details for the Web UI (User Metadata → Current Details) as markdown. Pure."""

import json

from domain.request.decision import DecisionRequest
from domain.request.funnel import funnel_steps
from domain.request.progress import RunProgress
from workflows.names import SIGNAL_DECISION


def render_details(progress: RunProgress, workflow_id: str) -> str:
    """Render progress, funnel, and the open question with the exact signal to send."""
    lines = [
        f"**{progress.status.value}** · stage **{progress.stage.value}** · companies **{progress.companies_ready}/"
        f"{progress.target_quantity}** ({progress.progress_pct} %) · contacts **{progress.contacts_ready}**",
        "",
        f"Open: {progress.open_discovery} searches, {progress.open_research} companies in research, "
        f"{progress.open_contacts} in contact discovery; {progress.queued} waiting. "
        f"Model calls {progress.model_calls}, cost {_cost(progress)}.",
    ]
    if progress.problem:
        lines += ["", f"**The last answer was refused:** {progress.problem}"]
    if progress.note:
        lines += ["", progress.note]
    if progress.exhausted_kinds:
        kinds = ", ".join(kind.replace("_", " ") for kind in progress.exhausted_kinds)
        lines += ["", f"Skipped, since they hardly find anything new: {kinds}."]
    if progress.funnel:
        open_ = progress.open_research + progress.open_contacts + progress.queued
        lines += ["", "| step | companies | lost |", "|---|---|---|"]
        for step in funnel_steps(progress.named, {**progress.funnel, "open": open_}):
            lost = ", ".join(f"{count} {reason}" for reason, count in step.lost.items())
            lines.append(f"| {step.name} | {step.companies} | {lost} |")
    if progress.decision is not None:
        lines += ["", *_question(progress.decision, workflow_id)]
    return "\n".join(lines)


def _cost(progress: RunProgress) -> str:
    if progress.model_calls and not progress.cost_usd:
        return "unknown or zero (`status` says which)"  # the run's state counts a call of unknown price as 0
    return f"${progress.cost_usd:.2f}"


def _question(question: DecisionRequest, workflow_id: str) -> list[str]:
    lines = [
        f"## NEEDS USER DECISION {question.decision_id}",
        "",
        question.message,
        "",
        f"Without an answer by {question.deadline:%Y-%m-%d %H:%M} UTC: `{question.default.value}`.",
    ]
    if question.problem:
        lines += ["", f"**The last answer was refused:** {question.problem}"]
    lines += ["", f"Send one of these as signal `{SIGNAL_DECISION}` (or as update `submit_decision`):", ""]
    for option in question.options:
        expected = f" ({option.expectation})" if option.expectation else ""
        lines += [f"- {option.description}{expected}", "", "```json", json.dumps(option.answer), "```", ""]
    first = json.dumps(question.options[0].answer)
    command = f"temporal workflow signal --address ADDRESS --workflow-id {workflow_id} --name {SIGNAL_DECISION} --input '{first}'"
    return [*lines, "From a terminal:", "", "```sh", command, "```"]
