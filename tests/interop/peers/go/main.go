// A go-libp2p node that natlab's interop tests drive: one command a line on stdin, one JSON object a line on stdout.
//
//	-listen /ip4/11.0.0.2/tcp/4001  where to listen (TCP, Noise, Yamux; nothing else)
//	-relay                           offer the relay service, as a node that knows it is publicly reachable does
//
// The first line out is {"peer": ID, "address": MULTIADDR}. Then one answer for each command:
//
//	dial MULTIADDR     -> {"limited": BOOL, "remote": MULTIADDR}   relayed connections are limited ones
//	ping PEER          -> {"rtt": SECONDS}
//	identify PEER      -> {"agent": TEXT, "protocols": [...], "addresses": [...], "observed": MULTIADDR}
//	reserve MULTIADDR  -> {"addresses": [...], "expires": UNIX_SECONDS}
//
// or {"error": TEXT}. It ends when stdin ends. Nothing is discovered and nobody is dialled unasked.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

const patience = 20 * time.Second

type answer map[string]any

// driven is the host and what it learnt from the identify answers it has received.
type driven struct {
	host.Host
	identified map[peer.ID]event.EvtPeerIdentificationCompleted
	completed  event.Subscription
}

func newDriven(listen string, relay bool) (*driven, error) {
	options := []libp2p.Option{
		libp2p.UserAgent("natlab's go-libp2p peer"),
		libp2p.ListenAddrStrings(listen),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableMetrics(),
	}
	if relay {
		options = append(options, libp2p.EnableRelayService(), libp2p.ForceReachabilityPublic())
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, err
	}
	completed, err := h.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, err
	}
	return &driven{h, map[peer.ID]event.EvtPeerIdentificationCompleted{}, completed}, nil
}

func (d *driven) dial(ctx context.Context, info *peer.AddrInfo) (answer, error) {
	if err := d.Connect(ctx, *info); err != nil {
		return nil, err
	}
	connection := d.Network().ConnsToPeer(info.ID)[0]
	return answer{"limited": connection.Stat().Limited, "remote": connection.RemoteMultiaddr().String()}, nil
}

func (d *driven) ping(ctx context.Context, id peer.ID) (answer, error) {
	result := <-ping.Ping(network.WithAllowLimitedConn(ctx, "ping"), d.Host, id)
	return answer{"rtt": result.RTT.Seconds()}, result.Error
}

func (d *driven) identify(ctx context.Context, id peer.ID) (answer, error) {
	for {
		if seen, ok := d.identified[id]; ok {
			return answer{"agent": seen.AgentVersion, "protocols": seen.Protocols,
				"addresses": texts(seen.ListenAddrs), "observed": fmt.Sprint(seen.ObservedAddr)}, nil
		}
		select {
		case e := <-d.completed.Out():
			seen := e.(event.EvtPeerIdentificationCompleted)
			d.identified[seen.Peer] = seen
		case <-ctx.Done():
			return nil, errors.New("no identify answer from this peer")
		}
	}
}

func (d *driven) reserve(ctx context.Context, relay *peer.AddrInfo) (answer, error) {
	reservation, err := client.Reserve(ctx, d.Host, *relay)
	if err != nil {
		return nil, err
	}
	return answer{"addresses": texts(reservation.Addrs), "expires": reservation.Expiration.Unix()}, nil
}

func (d *driven) obey(line string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	verb, argument, _ := strings.Cut(line, " ")
	switch verb {
	case "dial", "reserve":
		info, err := peer.AddrInfoFromString(argument)
		if err != nil {
			return nil, err
		}
		if verb == "dial" {
			return d.dial(ctx, info)
		}
		return d.reserve(ctx, info)
	case "ping", "identify":
		id, err := peer.Decode(argument)
		if err != nil {
			return nil, err
		}
		if verb == "ping" {
			return d.ping(ctx, id)
		}
		return d.identify(ctx, id)
	}
	return nil, fmt.Errorf("no such command: %s", verb)
}

func texts(addresses []multiaddr.Multiaddr) []string {
	result := []string{}
	for _, address := range addresses {
		result = append(result, address.String())
	}
	return result
}

func main() {
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/4001", "where to listen")
	relay := flag.Bool("relay", false, "offer the relay service")
	flag.Parse()
	node, err := newDriven(*listen, *relay)
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(answer{"peer": node.ID().String(), "address": *listen + "/p2p/" + node.ID().String()})
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		result, err := node.obey(commands.Text())
		if err != nil {
			result = answer{"error": err.Error()}
		}
		out.Encode(result)
	}
	node.Close()
}
