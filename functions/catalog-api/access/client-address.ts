/**
 * From where a request comes, for what is limited by address. What a client says of itself is not believed.
 */
import { isIPv4, isIPv6 } from 'node:net'
import type { ApiContext } from '../http/route.ts'

/**
 * Null where the host does not say. An address of IPv4; of IPv6 the first half, which one subscriber has as a
 * whole.
 */
export type AddressOf = (c: ApiContext) => string | null

/**
 * @param proxies that stand before the service, each of which adds to X-Forwarded-For from where it was
 * asked. With 0 the header, which anybody can send, is not looked at: the address is that of the connection.
 */
export const createAddressOf =
  (proxies: number): AddressOf =>
  (c) =>
    clientAddress(c.env?.clientAddress, c.req.header('x-forwarded-for'), proxies)

/**
 * The same of what the host and the header say. The last entries of the header are the proxies' own; the
 * first of those is the client's.
 */
export function clientAddress(
  connection: string | undefined,
  forwardedFor: string | undefined,
  proxies: number,
): string | null {
  const [client] = proxies === 0 ? [] : (forwardedFor ?? '').split(',').slice(-proxies)
  return networkOf(client ?? '') ?? networkOf(connection ?? '')
}

/** Some proxies write a port, and brackets around an address of IPv6. */
const WITH_PORT = /^(?:\[(?<six>[^\]]*)\](?::\d+)?|(?<four>\d+(?:\.\d+){3}):\d+)$/

function networkOf(text: string): string | null {
  const trimmed = text.trim()
  const { six, four } = WITH_PORT.exec(trimmed)?.groups ?? {}
  const address = (six ?? four ?? trimmed).replace(/%.*$/s, '')
  if (isIPv4(address)) return address
  if (!isIPv6(address)) return null
  const groups = groupsOf(address)
  // How a socket of both families writes an address of IPv4 (RFC 4291 §2.5.5.2).
  if (groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff') return groups.slice(6).flatMap(bytesOf).join('.')
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** All eight, in hexadecimal without zeros before them. */
function groupsOf(address: string): readonly string[] {
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [before = [], after = []] = canonical
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''))
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
}

const bytesOf = (group: string) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]
