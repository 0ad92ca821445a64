"""Names that several processes must spell alike: task queues, search attributes, message handlers."""

from temporalio.common import SearchAttributeKey

TASK_QUEUE = "pm-pipeline"
AGENT_TASK_QUEUE = "pm-pipeline-agents"  # activities that call a model: their concurrency is limited separately

# All are keywords: SQL visibility has ten of them but only three Bools. They must hold nothing personal.
STATUS = SearchAttributeKey.for_keyword("LeadListStatus")
STAGE = SearchAttributeKey.for_keyword("LeadListStage")
PMS = SearchAttributeKey.for_keyword("LeadListPms")
STATE = SearchAttributeKey.for_keyword("LeadListState")
SEARCH_ATTRIBUTES = (STATUS, STAGE, PMS, STATE)

SIGNAL_DECISION = "resolve_decision"
UPDATE_DECISION = "submit_decision"
QUERY_PROGRESS = "progress"
