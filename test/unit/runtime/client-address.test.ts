/**
 * From where a request comes: what a client says of itself counts only where a proxy that is known of has
 * said it.
 */
import { describe, expect, it } from 'vitest'
import { clientAddress } from '../../../shared/runtime/client-address.ts'

describe('the address of a client', () => {
  it.each<[string | undefined, string | null]>([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, null],
    ['', null],
    ['localhost', null],
    ['192.0.2.256', null],
  ])('%s is %s', (connection, address) => {
    expect(clientAddress(connection, undefined, 0)).toBe(address)
  })

  it('is one for all that a subscriber of IPv6 has', () => {
    const addresses = ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'].map((each) =>
      clientAddress(each, undefined, 0),
    )
    expect(new Set(addresses).size).toBe(1)
    expect(clientAddress('2001:db8:1:3::1', undefined, 0)).not.toBe(addresses[0])
  })

  it.each<[number, string | undefined, string]>([
    // Without proxies, nothing that is in the header.
    [0, '203.0.113.5', '10.0.0.1'],
    [1, '203.0.113.5', '203.0.113.5'],
    // What a client put there stands before what the proxies added.
    [1, '198.51.100.66, 203.0.113.5', '203.0.113.5'],
    [2, '198.51.100.66, 203.0.113.5, 10.0.0.2', '203.0.113.5'],
    [2, '203.0.113.5,10.0.0.2', '203.0.113.5'],
    // Fewer than there should be: the request did not come through all of them.
    [2, '203.0.113.5', '203.0.113.5'],
    [1, undefined, '10.0.0.1'],
    [1, '', '10.0.0.1'],
    [1, 'unknown', '10.0.0.1'],
    [1, '203.0.113.5:4711', '203.0.113.5'],
    [1, '[2001:db8:1:2::7]:4711', '2001:db8:1:2::/64'],
    [1, '"><script>', '10.0.0.1'],
    [1, `${'1.1.1.1,'.repeat(2000)}203.0.113.5`, '203.0.113.5'],
  ])('behind %i proxies with the header %j is %s', (proxies, header, address) => {
    expect(clientAddress('10.0.0.1', header, proxies)).toBe(address)
  })
})
