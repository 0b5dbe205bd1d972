"""The libp2p dialogues: one straight async function per role, over a `natlab.net.Stream`.

| module | protocol | roles |
|---|---|---|
| `ping` | `/ipfs/ping/1.0.0` | dialing peer, listening peer |
| `identify` | `/ipfs/id/1.0.0`, `/ipfs/id/push/1.0.0` | who tells, who listens |
| `circuit` | `/libp2p/circuit/relay/0.2.0/hop` and `/stop` | the relay's clients: reserving peer, initiator, target |
| `relay` | the same | the relay |
| `reservations` | (sans-io) | what a relay has promised to whom |
| `dcutr` | `/libp2p/dcutr` | initiator (B), responder (A) |
| `framing` | length-delimited protobuf messages, bounds in time | both |

No module here knows a host, a connection or a registry of protocols: what a role needs beyond its stream, it is given.
"""
