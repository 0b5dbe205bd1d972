"""Bytes and values: everything that has a fixed form on the wire.

| module | what |
|---|---|
| `varint` | unsigned varints |
| `keys`, `peer_id` | identity keys, and the peer IDs derived from them |
| `address` | multiaddrs: endpoints, peers, circuits, what is public |
| `envelope` | signed envelopes: peer records, reservation vouchers |
| `proto` | the protobuf messages of the dialogues |
| `stun` | STUN messages |
| `ip`, `pcapng` | packets as IP bytes, and capture files of them |

Whatever comes from a stranger is bounded in length and either decodes or raises `DecodeError` or `SecurityError`.
"""
