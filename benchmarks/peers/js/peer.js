// A js-libp2p node that loopback.py drives; ../natlab_peer.py says what the commands are.
//
//   node --expose-gc peer.js [--listen /ip4/127.0.0.1/tcp/0]
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const PING = '/ipfs/ping/1.0.0'
const SINK = '/natlab/benchmark/sink'
const CHUNK = 1 << 18

const { values: options } = parseArgs({ options: { listen: { type: 'string' } } })

const createNode = (listen = []) => createLibp2p({
  addresses: { listen },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  // Its guards against floods would slow down what a benchmark does on purpose.
  connectionManager: { inboundConnectionThreshold: Infinity, maxIncomingPendingConnections: 1000, maxParallelDials: 1000 },
  services: { identify: identify(), ping: ping() }
})

const seconds = since => Number(process.hrtime.bigint() - since) / 1e9
const now = () => process.hrtime.bigint()

// Takes as many bytes as the first eight say, and answers with one.
async function sink (stream) {
  let left = null
  for await (const part of stream) {
    let arrived = part.byteLength
    if (left == null) { // the eight bytes travel in a frame of their own
      left = Number(new DataView(part.subarray().buffer, part.subarray().byteOffset).getBigUint64(0))
      arrived -= 8
    }
    left -= arrived
    if (left <= 0) break
  }
  stream.send(new Uint8Array(1))
  await stream.close()
}

const node = await createNode(options.listen == null ? [] : [options.listen])
await node.handle(SINK, sink)
const crowd = []
const identified = new Map()
node.addEventListener('peer:identify', event => identified.get(event.detail.connection.id)?.())

const commands = {
  async dial (address, number) {
    const answer = { ready: [], identified: [] }
    for (let i = 0; i < number; i++) {
      const began = now()
      const connection = await node.dial(multiaddr(address))
      const known = new Promise(resolve => identified.set(connection.id, resolve))
      answer.ready.push(seconds(began))
      await known
      answer.identified.push(seconds(began))
      await connection.close()
    }
    return answer
  },

  async crowd (address, number) {
    const nodes = []
    for (let i = 0; i < number; i++) nodes.push(await createNode())
    crowd.push(...nodes)
    const began = now()
    await Promise.all(nodes.map(each => each.dial(multiaddr(address))))
    return { seconds: seconds(began) }
  },

  async ping (address, number) {
    const stream = await (await node.dial(multiaddr(address))).newStream(PING)
    const rtt = []
    for (let i = 0; i < number; i++) {
      const answered = new Promise(resolve => stream.addEventListener('message', resolve, { once: true }))
      const began = now()
      stream.send(new Uint8Array(32))
      await answered
      rtt.push(seconds(began))
    }
    await stream.close()
    return { rtt }
  },

  async send (address, size) {
    const stream = await (await node.dial(multiaddr(address))).newStream(SINK)
    const answered = new Promise(resolve => stream.addEventListener('message', resolve, { once: true }))
    const length = new Uint8Array(8)
    new DataView(length.buffer).setBigUint64(0, BigInt(size))
    const zeros = new Uint8Array(CHUNK)
    const began = now()
    stream.send(length)
    for (let sent = 0; sent < size; sent += CHUNK) {
      if (!stream.send(zeros)) await stream.onDrain()
    }
    await answered
    const took = seconds(began)
    await stream.close()
    return { seconds: took }
  },

  async settle () {
    globalThis.gc?.()
    return {}
  }
}

const answer = value => process.stdout.write(`${JSON.stringify(value)}\n`)

answer({ address: options.listen == null ? '' : String(node.getMultiaddrs()[0]) })
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, address, number] = line.split(' ')
  answer(await commands[verb](address, Number(number)))
}
process.exit()
