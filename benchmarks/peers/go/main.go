// A go-libp2p node that loopback.py drives; ../natlab_peer.py says what the commands are.
//
//	peer [-listen /ip4/127.0.0.1/tcp/0] [-security noise|tls]
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"io"
	"log"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

const (
	sink  = "/natlab/benchmark/sink"
	chunk = 1 << 18
)

type answer map[string]any

type driven struct {
	host.Host
	security string
	crowd    []host.Host
}

func newHost(listen, security string) host.Host {
	options := []libp2p.Option{
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableMetrics(),
		libp2p.DisableRelay(),
	}
	if security == "tls" {
		options = append(options, libp2p.Security(libp2ptls.ID, libp2ptls.New))
	} else {
		options = append(options, libp2p.Security(noise.ID, noise.New))
	}
	if listen == "" {
		options = append(options, libp2p.NoListenAddrs)
	} else {
		options = append(options, libp2p.ListenAddrStrings(listen))
	}
	h, err := libp2p.New(options...)
	check(err)
	return h
}

// connect returns a new connection, and the seconds until it was ready and identified.
func connect(h host.Host, info *peer.AddrInfo) (network.Conn, float64, float64) {
	h.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	began := time.Now()
	connection, err := h.Network().DialPeer(context.Background(), info.ID)
	check(err)
	ready := time.Since(began)
	<-h.(interface{ IDService() identify.IDService }).IDService().IdentifyWait(connection)
	return connection, ready.Seconds(), time.Since(began).Seconds()
}

func (d *driven) dial(info *peer.AddrInfo, number int) answer {
	var allReady, allIdentified []float64
	for range number {
		connection, ready, identified := connect(d.Host, info)
		allReady, allIdentified = append(allReady, ready), append(allIdentified, identified)
		connection.Close()
	}
	return answer{"ready": allReady, "identified": allIdentified}
}

func (d *driven) crowdDial(info *peer.AddrInfo, number int) answer {
	var hosts []host.Host
	for range number {
		hosts = append(hosts, newHost("", d.security))
	}
	d.crowd = append(d.crowd, hosts...)
	ready := make([]float64, number)
	began := time.Now()
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			h.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
			_, err := h.Network().DialPeer(context.Background(), info.ID)
			check(err)
			ready[i] = time.Since(began).Seconds()
		})
	}
	all.Wait()
	slowest := 0.0
	for _, seconds := range ready {
		slowest = max(slowest, seconds)
	}
	return answer{"seconds": slowest}
}

func (d *driven) ping(info *peer.AddrInfo, number int) answer {
	check(d.Connect(context.Background(), *info))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all []float64
	for result := range ping.Ping(ctx, d.Host, info.ID) {
		check(result.Error)
		if all = append(all, result.RTT.Seconds()); len(all) == number {
			break
		}
	}
	return answer{"rtt": all}
}

func (d *driven) send(info *peer.AddrInfo, size int) answer {
	check(d.Connect(context.Background(), *info))
	stream, err := d.NewStream(context.Background(), info.ID, sink)
	check(err)
	defer stream.Close()
	began := time.Now()
	check(binary.Write(stream, binary.BigEndian, uint64(size)))
	zeros := make([]byte, chunk)
	for sent := 0; sent < size; sent += chunk {
		_, err = stream.Write(zeros)
		check(err)
	}
	_, err = stream.Read(zeros[:1])
	check(err)
	return answer{"seconds": time.Since(began).Seconds()}
}

// take answers with one byte when it has as many as the first eight say.
func take(stream network.Stream) {
	defer stream.Close()
	var size uint64
	if binary.Read(stream, binary.BigEndian, &size) != nil {
		return
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(stream, int64(size)), make([]byte, chunk)); err == nil {
		stream.Write([]byte("\n"))
	}
}

func (d *driven) obey(line string) answer {
	words := strings.Fields(line)
	if words[0] == "settle" {
		debug.FreeOSMemory()
		return answer{}
	}
	info, err := peer.AddrInfoFromString(words[1])
	check(err)
	number, err := strconv.Atoi(words[2])
	check(err)
	switch words[0] {
	case "dial":
		return d.dial(info, number)
	case "crowd":
		return d.crowdDial(info, number)
	case "ping":
		return d.ping(info, number)
	case "send":
		return d.send(info, number)
	}
	return answer{"error": "no such command"}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	listen := flag.String("listen", "", "where to listen")
	security := flag.String("security", "noise", "noise or tls")
	flag.Parse()
	node := &driven{Host: newHost(*listen, *security), security: *security}
	node.SetStreamHandler(sink, take)
	address := ""
	if *listen != "" {
		address = node.Addrs()[0].String() + "/p2p/" + node.ID().String()
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(answer{"address": address})
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		out.Encode(node.obey(commands.Text()))
	}
}
