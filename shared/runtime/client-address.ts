/** The client's address, for limits by address. What a client itself states is not trusted. */
import { isIPv4, isIPv6 } from 'node:net'

/**
 * The client's address from that of the connection and the header X-Forwarded-For: an IPv4 address; of IPv6 the first
 * 64 bits, which belong to one subscriber; null where neither is one.
 * @param proxies in front of the service, each of which appends its client's address to the header. The first of so
 * many last entries is the client's; with 0 the header, which anyone can send, is ignored.
 */
export function clientAddress(
  connection: string | undefined,
  forwardedFor: string | undefined,
  proxies: number,
): string | null {
  const [client] = proxies === 0 ? [] : (forwardedFor ?? '').split(',').slice(-proxies)
  return networkOf(client ?? '') ?? networkOf(connection ?? '')
}

/** Some proxies append a port, and write brackets around an IPv6 address. */
const WITH_PORT = /^(?:\[(?<six>[^\]]*)\](?::\d+)?|(?<four>\d+(?:\.\d+){3}):\d+)$/

function networkOf(text: string): string | null {
  const trimmed = text.trim()
  const { six, four } = WITH_PORT.exec(trimmed)?.groups ?? {}
  const address = (six ?? four ?? trimmed).replace(/%.*$/s, '')
  if (isIPv4(address)) return address
  if (!isIPv6(address)) return null
  const groups = groupsOf(address)
  // An IPv4 address as a dual-stack socket writes it (RFC 4291 §2.5.5.2).
  if (groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff') return groups.slice(6).flatMap(bytesOf).join('.')
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** All eight groups, in hexadecimal without leading zeros. */
function groupsOf(address: string): readonly string[] {
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [before = [], after = []] = canonical
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''))
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
}

const bytesOf = (group: string) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]
