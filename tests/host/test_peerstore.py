from natlab.host import peerstore
from natlab.host.peerstore import MAX_ADDRESSES, Peerstore
from natlab.protocol.identify import Identity
from natlab.wire import address
from natlab.wire.envelope import PeerRecord
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId


def peer(number):
    return PeerId.from_public_key(PrivateKey(number.to_bytes(32, "big")).public)


def at(number):
    return address.parse(f"/ip4/60.0.{number // 256}.{number % 256}/tcp/4001")


def test_nothing_is_known_of_a_stranger():
    assert Peerstore().addresses(peer(1)) == ()
    assert Peerstore().identity(peer(1)) == Identity()


def test_addresses_are_kept_once_without_the_peer_in_the_order_heard():
    known = Peerstore()
    known.add(peer(1), [at(2), address.with_peer(at(1), peer(1)), at(2), at(1)])
    assert known.addresses(peer(1)) == (at(2), at(1))


def test_the_addresses_of_a_peer_are_bounded():
    known = Peerstore()
    known.add(peer(1), map(at, range(1000)))
    assert len(known.addresses(peer(1))) == MAX_ADDRESSES


def test_the_peers_are_bounded_and_the_longest_unheard_of_goes(monkeypatch):
    monkeypatch.setattr(peerstore, "MAX_PEERS", 2)
    known = Peerstore()
    for number in (1, 2, 1, 3):
        known.add(peer(number), [at(number)])
    assert [bool(known.addresses(peer(number))) for number in (1, 2, 3)] == [True, False, True]


def test_a_signed_record_drops_addresses_it_no_longer_lists():
    known = Peerstore()
    known.add(peer(1), [at(1)])
    known.identified(peer(1), Identity(listen_addresses=(at(2),)))
    assert known.addresses(peer(1)) == (at(1), at(2))
    said = Identity(listen_addresses=(at(3),), record=PeerRecord(peer(1), 1, (at(3), at(4))))
    known.identified(peer(1), said)
    assert known.addresses(peer(1)) == (at(3), at(4))


def test_of_what_a_peer_said_no_more_is_kept_than_is_used():
    known = Peerstore()
    many = tuple(map(at, range(1000)))
    known.identified(peer(1), Identity("agent", listen_addresses=many, record=PeerRecord(peer(1), 1, many)))
    assert known.identity(peer(1)) == Identity("agent", listen_addresses=many[:MAX_ADDRESSES])
