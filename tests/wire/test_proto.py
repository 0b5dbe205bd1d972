"""The generated code against two independent witnesses: bytes written by hand, and the text of the `.proto` files."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

import natlab.wire.proto
from natlab.wire.proto import circuit_pb2, dcutr_pb2, envelope_pb2, identify_pb2, keys_pb2, noise_pb2
from natlab.wire.proto.circuit_pb2 import HopMessage, Limit, Peer, Reservation, Status, StopMessage
from natlab.wire.proto.dcutr_pb2 import HolePunch
from natlab.wire.proto.envelope_pb2 import Envelope, PeerRecord, Voucher
from natlab.wire.proto.identify_pb2 import Identify
from natlab.wire.proto.keys_pb2 import PublicKey
from natlab.wire.proto.noise_pb2 import NoiseExtensions, NoiseHandshakePayload

MODULES = (circuit_pb2, dcutr_pb2, envelope_pb2, identify_pb2, keys_pb2, noise_pb2)

# A field is key, value; the key is 8 x number, + 2 if the value is bytes with their length in front.
BY_HAND = [
    (PublicKey(Type=keys_pb2.RSA, Data=b"k"), "0800 12016b"),
    (PublicKey(Type=keys_pb2.Ed25519), "0801"),
    (PublicKey(Type=keys_pb2.Secp256k1), "0802"),
    (PublicKey(Type=keys_pb2.ECDSA), "0803"),
    (NoiseExtensions(webtransport_certhashes=[b"h"], stream_muxers=["/a", "/b"]), "0a0168 12022f61 12022f62"),
    (
        NoiseHandshakePayload(identity_key=b"k", identity_sig=b"s", extensions=NoiseExtensions()),
        "0a016b 120173 2200",
    ),
    (
        Envelope(public_key=PublicKey(), payload_type=b"\3\1", payload=b"p", signature=b"s"),
        "0a00 12020301 1a0170 2a0173",
    ),
    (
        PeerRecord(peer_id=b"i", seq=300, addresses=[PeerRecord.AddressInfo(multiaddr=b"a"), PeerRecord.AddressInfo()]),
        "0a0169 10ac02 1a030a0161 1a00",
    ),
    (Voucher(relay=b"r", peer=b"p", expiration=0), "0a0172 120170 1800"),
    (
        Identify(
            publicKey=b"k",
            listenAddrs=[b"a", b"b"],
            protocols=["/p"],
            observedAddr=b"o",
            protocolVersion="v",
            agentVersion="g",
            signedPeerRecord=b"r",
        ),
        "0a016b 120161 120162 1a022f70 22016f 2a0176 320167 420172",
    ),
    (HopMessage(type=HopMessage.RESERVE), "0800"),
    (HopMessage(type=HopMessage.CONNECT, peer=Peer(id=b"i", addrs=[b"a", b"b"])), "0801 1209 0a0169 120161 120162"),
    (
        HopMessage(
            type=HopMessage.STATUS,
            reservation=Reservation(expire=300, addrs=[b"a"], voucher=b"v"),
            limit=Limit(duration=120, data=131072),
            status=Status.OK,
        ),
        "0802 1a09 08ac02 120161 1a0176 2206 0878 10808008 2864",
    ),
    (StopMessage(type=StopMessage.CONNECT, peer=Peer(), limit=Limit()), "0800 1200 1a00"),
    (StopMessage(type=StopMessage.STATUS, status=Status.OK), "0801 2064"),
    (HopMessage(status=Status.UNUSED), "2800"),
    (HopMessage(status=Status.RESERVATION_REFUSED), "28c801"),
    (HopMessage(status=Status.RESOURCE_LIMIT_EXCEEDED), "28c901"),
    (HopMessage(status=Status.PERMISSION_DENIED), "28ca01"),
    (HopMessage(status=Status.CONNECTION_FAILED), "28cb01"),
    (HopMessage(status=Status.NO_RESERVATION), "28cc01"),
    (HopMessage(status=Status.MALFORMED_MESSAGE), "289003"),
    (HopMessage(status=Status.UNEXPECTED_MESSAGE), "289103"),
    (HolePunch(type=HolePunch.UNUSED), "0800"),
    (HolePunch(type=HolePunch.CONNECT, ObsAddrs=[b"a", b"b"]), "0864 120161 120162"),
    (HolePunch(type=HolePunch.SYNC), "08ac02"),
]


@pytest.mark.parametrize(("message", "encoded"), BY_HAND)
def test_encodes_to_the_bytes_written_by_hand(message: Message, encoded: str) -> None:
    data = bytes.fromhex(encoded)
    assert message.SerializeToString(deterministic=True) == data
    parsed = type(message)()
    parsed.ParseFromString(data)
    assert parsed == message


def test_every_field_and_enum_value_is_written_by_hand() -> None:
    written = {field.full_name for message, _ in BY_HAND for field in _fields_set(message)}
    assert written == {field.full_name for module in MODULES for field in _all_fields(module.DESCRIPTOR)}
    values = {value for message, _ in BY_HAND for value in _enum_values_set(message)}
    assert values == {value for module in MODULES for value in _all_enum_values(module.DESCRIPTOR)}


def test_an_unknown_status_stays_visible() -> None:
    message = HopMessage()
    message.ParseFromString(bytes.fromhex("28e707"))
    assert message.status == 999


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.DESCRIPTOR.name.rpartition("/")[2])
def test_the_generated_code_is_that_of_the_proto_file(module: object) -> None:
    descriptor: FileDescriptor = module.DESCRIPTOR  # type: ignore[attr-defined]
    text = (Path(natlab.wire.proto.__file__).parent / Path(descriptor.name).name).read_text()
    assert _declared(text) == _generated(descriptor)


def _declared(text: str) -> set[tuple[str, str, int]]:
    """(scope and name, label and type or "enum", number) of every field and enum value, from the text alone."""
    scope: list[str] = []
    found = set()
    package = re.search(r"^package (.+);", text, re.MULTILINE)
    assert package is not None
    for line in (line.partition("//")[0].strip() for line in text.splitlines()):
        if block := re.fullmatch(r"(?:message|enum) (\w+) {", line):
            scope.append(block[1])
        elif line == "}":
            scope.pop()
        elif field := re.fullmatch(r"((?:optional|repeated) [\w.]+) (\w+) = (\d+);", line):
            found.add((".".join((package[1], *scope, field[2])), field[1].replace("natlab.keys.", ""), int(field[3])))
        elif value := re.fullmatch(r"(\w+) = (\d+);", line):
            found.add((".".join((package[1], *scope, value[1])), "enum", int(value[2])))
        else:
            assert not line or line.startswith(("syntax", "package", "import")), f"not understood: {line}"
    return found


def _generated(descriptor: FileDescriptor) -> set[tuple[str, str, int]]:
    fields = {(field.full_name, _declaration(field), field.number) for field in _all_fields(descriptor)}
    return fields | {(name, "enum", number) for name, number in _all_enum_values(descriptor)}


SCALARS = {
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def _declaration(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    return f"{'repeated' if field.is_repeated else 'optional'} {named.name if named else SCALARS[field.type]}"


def _all_messages(descriptor: FileDescriptor) -> list[Descriptor]:
    outer = list(descriptor.message_types_by_name.values())
    return outer + [nested for message in outer for nested in message.nested_types]


def _all_fields(descriptor: FileDescriptor) -> list[FieldDescriptor]:
    return [field for message in _all_messages(descriptor) for field in message.fields]


def _all_enum_values(descriptor: FileDescriptor) -> set[tuple[str, int]]:
    enums = list(descriptor.enum_types_by_name.values())
    enums += [enum for message in _all_messages(descriptor) for enum in message.enum_types]
    return {(f"{enum.full_name}.{value.name}", value.number) for enum in enums for value in enum.values}


def _fields_set(message: Message) -> list[FieldDescriptor]:
    found = []
    for field, value in message.ListFields():
        found.append(field)
        if field.message_type:
            for part in value if field.is_repeated else [value]:
                found += _fields_set(part)
    return found


def _enum_values_set(message: Message) -> set[tuple[str, int]]:
    return {
        (f"{field.enum_type.full_name}.{field.enum_type.values_by_number[value].name}", value)
        for field, value in message.ListFields()
        if field.enum_type
    }
