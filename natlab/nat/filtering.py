"""Filtering: who may send to a mapping from outside.

Filtering behaviour (RFC 4787 section 5) is a key function too, apart from the mapping's. A packet from a remote
endpoint is admitted if, from the external endpoint that it aims at, something was sent not too long ago to a remote
with the same key:

    filtering behaviour           key                          admitted
    endpoint-independent          nothing                      anybody, once anything was sent
    address-dependent             remote address               any port of an address that was sent to
    address-and-port-dependent    remote address and port      only an endpoint that was sent to

Hole punching is no more than this: send, so that your own box admits the other's packets.
The memory is the box's sessions, under external endpoint and key (`table.py`). What a host has sent from another
external endpoint does not count.
"""

from __future__ import annotations

from natlab.endpoint import Endpoint
from natlab.nat.config import Behaviour

__all__ = ["filter_key", "refusal"]


def filter_key(behaviour: Behaviour, remote: Endpoint) -> str | Endpoint:
    """Remotes with equal keys are all admitted once one of them was sent to."""
    match behaviour:
        case Behaviour.ENDPOINT_INDEPENDENT:
            return ""
        case Behaviour.ADDRESS_DEPENDENT:
            return remote.ip
        case Behaviour.ADDRESS_AND_PORT_DEPENDENT:
            return remote


def refusal(behaviour: Behaviour, remote: Endpoint, external: Endpoint) -> str:
    """Why `remote` is not admitted, as a sentence that names the rule."""
    match behaviour:
        case Behaviour.ENDPOINT_INDEPENDENT:
            return f"filtering ({behaviour}): nothing was sent from {external} lately, so nobody is let in"
        case Behaviour.ADDRESS_DEPENDENT:
            return f"filtering ({behaviour}): nothing was sent to {remote.ip} from {external} lately"
        case Behaviour.ADDRESS_AND_PORT_DEPENDENT:
            return f"filtering ({behaviour}): nothing was sent to {remote} from {external} lately"
