"""From bytes to connections: what lies between a network and the protocols of a node.

| module | what it does |
|---|---|
| `negotiate` | multistream-select on a stream |
| `upgrade` | a bare byte stream becomes an encrypted one with a muxer on it |
| `connection` | that, alive: what is read, what is written, the keepalive |
| `stream` | one of its streams |
| `circuit` | a byte stream through a relay, to be upgraded like any other |
| `tasks` | running several things at once in an order that can be repeated |

The protocols themselves are the sans-io state machines of `natlab.upgrade`; here is the asyncio around them.
"""
