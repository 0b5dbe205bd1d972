"""What else a network promises: the time, and its own addresses."""


def test_time_and_addresses(place):
    assert place.here.now() > 1_700_000_000
    addresses = place.here.addresses()
    assert addresses[-1] == "127.0.0.1" and len(set(addresses)) == len(addresses)
