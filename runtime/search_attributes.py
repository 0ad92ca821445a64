"""Register the search attributes that workflows write. Without them, every workflow task would fail."""

from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.names import SEARCH_ATTRIBUTES


async def missing_search_attributes(client: Client) -> list[str]:
    """Return the names that the namespace does not have, or has with another type."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [
        key.name for key in SEARCH_ATTRIBUTES if answer.custom_attributes.get(key.name) != int(key.indexed_value_type)
    ]


async def register_search_attributes(client: Client) -> list[str]:
    """Register the missing search attributes and return them. Safe in several processes at once."""
    missing = await missing_search_attributes(client)
    if missing:
        wanted = {key.name: int(key.indexed_value_type) for key in SEARCH_ATTRIBUTES if key.name in missing}
        try:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)  # type: ignore[arg-type]
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
    return missing
