"""Bytes and values: everything that has a fixed form on the wire.

| module | what |
|---|---|
| `varint` | unsigned varints |
| `keys`, `peer_id` | identity keys, and the peer IDs derived from them |
| `address` | multiaddrs: endpoints, peers, circuits, what is public |
| `envelope` | signed envelopes: peer records, reservation vouchers |
| `proto` | the protobuf messages of the dialogues |
| `stun` | STUN messages |
| `ip`, `icmp`, `fragments`, `pcapng` | packets as IP bytes, in pieces, and capture files of them |
| `natpmp`, `pcp`; `http`, `soap` | what a gateway is asked for a port with; what UPnP says it in |

Whatever comes from a stranger is bounded in length and either decodes or raises `DecodeError` or `SecurityError`.
"""
