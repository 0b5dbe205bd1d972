"""The libp2p node and what it consists of, one file per concern; `node.py` has the map."""

from natlab.host.node import Node

__all__ = ["Node"]
