"""HTTP/1.1 messages, as far as UPnP needs them: in TCP for its documents, in UDP for its search.

Specifications: RFC 9112 sections 2 to 6; over UDP ("HTTPU") UPnP Device Architecture 2.0 section 1.1.

    POST /control HTTP/1.1                     start line: a request's, or "HTTP/1.1 200 OK"
    Host: 192.168.1.1:49152                    header fields; their names mean the same in any case
    Content-Length: 612
                                               an empty line
    <?xml ...                                  the body, of so many bytes

*Not modelled*: chunked bodies, folded header lines, a second message in the same connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from natlab.errors import DecodeError

__all__ = ["END_OF_HEAD", "MAX_BODY", "MAX_HEAD", "Message", "decode", "decode_head", "encode"]

MAX_HEAD = 8192
MAX_BODY = 1 << 16
MAX_FIELDS = 64
END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response.

    Attributes:
        start: its first line.
        fields: header fields, names in lower case; of several with one name the last.
        body: what follows the empty line.
    """

    start: str
    fields: Mapping[str, str]
    body: bytes = b""

    @property
    def request(self) -> tuple[str, str]:
        """Method and target of a request.

        Raises:
            DecodeError: its start line is none.
        """
        words = self.start.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise DecodeError(f"no HTTP request: {self.start[:80]!r}")
        return words[0], words[1]

    @property
    def status(self) -> int:
        """The status of a response.

        Raises:
            DecodeError: its start line has none.
        """
        words = self.start.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not (words[1].isascii() and words[1].isdigit()):
            raise DecodeError(f"no HTTP response: {self.start[:80]!r}")
        return int(words[1][:4])

    @property
    def content_length(self) -> int | None:
        """How long the body is by its header; None: until the connection ends.

        Raises:
            DecodeError: no number, or too large a one.
        """
        if "transfer-encoding" in self.fields:
            raise DecodeError("a chunked body: this is not understood here")
        text = self.fields.get("content-length")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) > MAX_BODY:
            raise DecodeError(f"a body of {text[:20]!r} bytes; {MAX_BODY} are read at most")
        return int(text)


def encode(start: str, fields: Mapping[str, str], body: bytes = b"") -> bytes:
    """A message as bytes; a body brings its length along."""
    lines = [start, *(f"{name}: {value}" for name, value in fields.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header field is one line")
    return "\r\n".join(lines).encode("latin-1") + END_OF_HEAD + body


def decode_head(data: bytes) -> Message:
    """Reads everything up to the empty line, which may be missing.

    Raises:
        DecodeError: too long, or no header.
    """
    if len(data) > MAX_HEAD:
        raise DecodeError(f"an HTTP head of {len(data)} bytes; {MAX_HEAD} are read at most")
    start, *lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
    if len(lines) > MAX_FIELDS:
        raise DecodeError(f"{len(lines)} header fields; {MAX_FIELDS} are read at most")
    fields = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise DecodeError(f"no header field: {line[:80]!r}")
        fields[name.lower()] = value.strip()
    return Message(start, fields)


def decode(data: bytes) -> Message:
    """Reads a message that is there as a whole, as in a datagram. Errors are those of `decode_head`."""
    head, _, body = data.partition(END_OF_HEAD)
    message = decode_head(head)
    return Message(message.start, message.fields, body)
