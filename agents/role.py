"""What an agent is: its instructions, the shape of its answer, the tools it may use and its limits."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from pydantic import BaseModel

from agents.answer_example import answer_example
from agents.prompt_fencing import FENCE_NOTICE

ToolName = Literal["search_web", "fetch_page"]
RoleName = Literal["discovery", "company_research", "contact_research"]
ROLE_NAMES: tuple[RoleName, ...] = get_args(RoleName)


@dataclass(frozen=True)
class AgentRole:
    """One agent role.

    Attributes:
        name: also the name of the output schema in each request.
        instructions: what the role is told to do; the same for every task of the role.
        output: pydantic model of the final answer.
        tools: the only tools of ours that the model is offered; those of MCP servers come from their configuration.
            A stage is kept out of another's work by what it can call, not by wording (LESSONS F41).
        turns_max: model turns in one call; reaching it returns what was found so far (LESSONS F38).
        tool_calls_max: tool calls in one call; pages opened for the model beforehand are not counted.
    """

    name: RoleName
    instructions: str
    output: type[BaseModel]
    tools: tuple[ToolName, ...]
    turns_max: int
    tool_calls_max: int

    @cached_property
    def prompt(self) -> str:
        """The system text: the instructions, what the fence means, and an example made from the schema (LESSONS F42)."""
        shape = f"The shape of an answer, with nothing in it that is true:\n{answer_example(self.output)}\n"
        return f"{self.instructions}\n{FENCE_NOTICE}\n{shape}"
