"""What an agent is: its instructions, the shape of its answer, the tools it may use and its limits."""

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel

ToolName = Literal["search_web", "fetch_page"]
RoleName = Literal["discovery", "company_research", "contact_research"]
ROLE_NAMES: tuple[RoleName, ...] = get_args(RoleName)


@dataclass(frozen=True)
class AgentRole:
    """One agent role.

    Attributes:
        name: also the name of the output schema in each request.
        instructions: the system text; the same for every task of the role.
        output: pydantic model of the final answer.
        tools: the only tools of ours that the model is offered; those of MCP servers come from their configuration.
            A stage is kept out of another's work by what it can call, not by wording (LESSONS F41).
        turns_max: model turns in one call; reaching it returns what was found so far (LESSONS F38).
        tool_calls_max: tool calls in one call.
    """

    name: RoleName
    instructions: str
    output: type[BaseModel]
    tools: tuple[ToolName, ...]
    turns_max: int
    tool_calls_max: int
