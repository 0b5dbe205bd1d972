"""natlab: see NAT traversal and libp2p hole punching happen."""
