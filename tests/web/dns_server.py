"""A small DNS server for tests, over a real UDP socket; unknown names are NXDOMAIN."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SERVFAIL, REFUSED, SILENCE = "SERVFAIL", "REFUSED", "silence"

# Name → its records as type → values, or how the server fails to answer for it.
Zone = Mapping[str, Mapping[str, Sequence[str]] | str]


@dataclass
class DnsServer(asyncio.DatagramProtocol):
    """A running server: what it knows, and what it was asked, as ``TYPE name``."""

    zone: Zone
    port: int = 0
    asked: list[str] = field(default_factory=list)
    _transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to answer."""
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one question."""
        answer = self._answer(dns.message.from_wire(data))
        if answer is not None:
            self._transport.sendto(answer.to_wire(), addr)

    def resolver(self) -> dns.asyncresolver.Resolver:
        """A resolver that asks this server and no other."""
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self.port
        return resolver

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{kind} {name}")
        known = self.zone.get(name)
        if known == SILENCE:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        if known is None or isinstance(known, str):
            answer.set_rcode(dns.rcode.from_text(known or "NXDOMAIN"))
        elif known.get(kind):
            answer.answer.append(dns.rrset.from_text_list(question.name, 300, "IN", kind, known[kind]))
        return answer


@asynccontextmanager
async def serving_dns(zone: Zone) -> AsyncIterator[DnsServer]:
    """Serve a zone while the block runs; it may be changed meanwhile."""
    server = DnsServer(zone)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
