"""Filtering: who may send to a mapping from outside.

Filtering behaviour (RFC 4787 section 5) is a key function too, apart from the mapping's. A packet from a remote
endpoint is admitted if the internal host has sent, through this mapping and not too long ago, to a remote with the
same key:

    filtering behaviour           key                          admitted
    endpoint-independent          nothing                      anybody, once anything was sent
    address-dependent             remote address               any port of an address that was sent to
    address-and-port-dependent    remote address and port      only an endpoint that was sent to

Hole punching is no more than this: send, so that your own box admits the other's packets.
The memory is the mapping's sessions, grouped by this key. What it has sent through another mapping does not count.
"""

from __future__ import annotations

from natlab.endpoint import Endpoint
from natlab.nat.config import Behaviour
from natlab.nat.mapping import Mapping, Session

__all__ = ["admitting_session", "filter_key", "refusal"]


def filter_key(behaviour: Behaviour, remote: Endpoint) -> str | Endpoint:
    """Remotes with equal keys are all admitted once one of them was sent to."""
    match behaviour:
        case Behaviour.ENDPOINT_INDEPENDENT:
            return ""
        case Behaviour.ADDRESS_DEPENDENT:
            return remote.ip
        case Behaviour.ADDRESS_AND_PORT_DEPENDENT:
            return remote


def admitting_session(behaviour: Behaviour, mapping: Mapping, remote: Endpoint, now: int) -> Session | None:
    """The live session for whose sake `remote` is admitted (of several, the one that lives longest), or None."""
    group = mapping.sessions.get(filter_key(behaviour, remote), ())
    session = max(group, key=lambda session: session.expires, default=None)
    return session if session is not None and session.expires > now else None


def refusal(behaviour: Behaviour, remote: Endpoint, external: Endpoint) -> str:
    """Why `remote` is not admitted, as a sentence that names the rule."""
    match behaviour:
        case Behaviour.ENDPOINT_INDEPENDENT:
            return f"filtering ({behaviour}): nothing was sent from {external} lately, so nobody is let in"
        case Behaviour.ADDRESS_DEPENDENT:
            return f"filtering ({behaviour}): nothing was sent to {remote.ip} from {external} lately"
        case Behaviour.ADDRESS_AND_PORT_DEPENDENT:
            return f"filtering ({behaviour}): nothing was sent to {remote} from {external} lately"
