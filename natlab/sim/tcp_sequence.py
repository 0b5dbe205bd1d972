"""Sequence numbers that never wrap, made from ones that do (RFC 9293 section 3.4).

On the wire a sequence number is 32 bits and "all arithmetic dealing with sequence numbers must be performed modulo
2**32". Comparing such numbers needs care at every place; instead the state machine counts in plain integers that just
go on growing, and only the edge knows about 32 bits:

    wire      ... fffffffe  ffffffff  00000000  00000001 ...
    inside    ... 2**32-2   2**32-1   2**32     2**32+1  ...        <, <=, max and - mean what they say

A number from the wire becomes the integer nearest to one we already know. That is right as long as the two are less
than 2**31 apart, which windows of at most 65,535 bytes see to.
"""

from __future__ import annotations

MASK = 0xFFFFFFFF
_HALF = 1 << 31


def to_wire(number: int) -> int:
    """The 32 bits that go into the header."""
    return number & MASK


def from_wire(bits: int, near: int) -> int:
    """The integer with these low 32 bits that lies nearest to `near`; of two equally near, the lower."""
    return near + ((bits - near + _HALF) & MASK) - _HALF
