"""The protobuf messages libp2p nodes exchange: `.proto` files, and the Python code generated from them.

| file | messages | specification |
|---|---|---|
| `keys.proto` | `PublicKey` | specs `peer-ids/peer-ids.md` |
| `noise.proto` | `NoiseHandshakePayload`, `NoiseExtensions` | specs `noise/README.md` |
| `envelope.proto` | `Envelope`, `PeerRecord`, `Voucher` | specs `RFC/0002`, `RFC/0003`, `relay/circuit-v2.md` |
| `identify.proto` | `Identify` | specs `identify/README.md` |
| `circuit.proto` | `HopMessage`, `StopMessage` and their parts | specs `relay/circuit-v2.md` |
| `dcutr.proto` | `HolePunch` | specs `relay/DCUtR.md` |

Field names and numbers are the specifications'. All files are proto3 with every single field `optional`: on the wire
that equals the proto2 the specifications are written in, a zero that was set is still sent (RSA, RESERVE and CONNECT
are 0), and an enum value that nobody knew when this was written stays visible as its number instead of vanishing. What
a specification calls "required" is checked by the code that reads the message, with `HasField`.

To generate again after a change, from the root of the repository (this release of grpcio-tools writes code for
protobuf 6.31, which every later 6.x and 7.x runtime accepts)::

    uvx --from grpcio-tools==1.76.0 --with "setuptools<81" python -m grpc_tools.protoc \
        -I. --python_out=. --pyi_out=. natlab/wire/proto/*.proto
"""
