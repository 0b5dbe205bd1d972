// A js-libp2p node that natlab's interop tests drive: one command a line on stdin, one JSON object a line on stdout.
//
//   node peer.js --listen /ip4/11.0.0.3/tcp/4001 [--relay]
//
// Commands and answers are those of ../go/main.go: dial, ping, identify, reserve. It ends when stdin ends.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const { values: options } = parseArgs({
  options: { listen: { type: 'string' }, relay: { type: 'boolean', default: false } }
})

const node = await createLibp2p({
  addresses: { listen: [options.listen], announce: [options.listen] },
  transports: [tcp(), circuitRelayTransport()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  // Loopback is the whole internet here, so no address may be refused as private.
  connectionGater: { denyDialMultiaddr: () => false },
  services: {
    identify: identify({ runOnConnectionOpen: false }),
    ping: ping({ runOnLimitedConnection: true }),
    ...(options.relay ? { relay: circuitRelayServer() } : {})
  }
})

const connectionTo = peer => node.getConnections().find(connection => connection.remotePeer.toString() === peer)

const commands = {
  async dial (address) {
    const connection = await node.dial(multiaddr(address))
    return { limited: connection.limits != null, remote: connection.remoteAddr.toString() }
  },

  async ping (peer) {
    return { rtt: await node.services.ping.ping(connectionTo(peer).remotePeer) / 1000 }
  },

  async identify (peer) {
    const seen = await node.services.identify.identify(connectionTo(peer))
    return {
      agent: seen.agentVersion,
      protocols: seen.protocols,
      addresses: seen.listenAddrs.map(String),
      observed: String(seen.observedAddr)
    }
  },

  async reserve (relay) {
    await node.components.transportManager.listen([multiaddr(`${relay}/p2p-circuit`)])
    const listening = node.components.transportManager.getAddrs().map(String)
    return { addresses: listening.filter(address => address.includes('/p2p-circuit')) }
  }
}

const answer = value => process.stdout.write(`${JSON.stringify(value)}\n`)

answer({ peer: node.peerId.toString(), address: `${options.listen}/p2p/${node.peerId}` })
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, argument] = line.split(' ')
  try {
    answer(await commands[verb](argument))
  } catch (error) {
    answer({ error: `${error.name}: ${error.message}` })
  }
}
await node.stop()
