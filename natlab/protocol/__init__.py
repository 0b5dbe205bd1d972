"""The dialogues: one straight async function per role. libp2p's speak over a `natlab.net.Stream`:

| module | protocol | roles |
|---|---|---|
| `ping` | `/ipfs/ping/1.0.0` | dialing peer, listening peer |
| `identify` | `/ipfs/id/1.0.0`, `/ipfs/id/push/1.0.0` | who tells, who listens |
| `circuit` | `/libp2p/circuit/relay/0.2.0/hop` and `/stop` | the relay's clients: reserving peer, initiator, target |
| `relay` | the same | the relay |
| `reservations` | (sans-io) | what a relay has promised to whom |
| `dcutr` | `/libp2p/dcutr` | initiator (B), responder (A) |
| `framing` | length-delimited protobuf messages, bounds in time | both |

STUN's, which are older than libp2p, over UDP and TCP:

| module | protocol | roles |
|---|---|---|
| `stun` | RFC 8489 | client |
| `stun_server` | RFC 8489, RFC 5780, and a dial-back of ours | server |
| `behaviour_discovery` | RFC 5780: which NAT am I behind? | client |
| `tcp_discovery` | the same for TCP | client |

No module here knows a host, a connection or a registry of protocols: what a role needs beyond its stream, it is given.
"""
