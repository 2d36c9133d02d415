/**
 * The fixture of the tests of the rucio driver: RSEs, a strict server, an endpoint in memory, and the driver
 * on both.
 */
import type { CopySource } from '../../shared/tape/driver.ts'
import { createRucioDriver, type RucioOptions } from '../../shared/tape/rucio/rucio.ts'
import type { TokenSource } from '../../shared/tape/tokens/token-source.ts'
import { type MemoryEndpoint, memoryEndpoint } from './memory-endpoint.ts'
import { startRucioServer } from './rucio-server.ts'
import type { RucioRse, RucioSetup } from './rucio-state.ts'
import { LONGEST_WAIT_SECONDS } from './waiting.ts'

const TAPE = 'davs://tape.example.org:8443/cygno/'
export const STORE = 'https://s3.example.org:443/'
/** A store that is not deterministic, the tape, and a disk whose addresses follow from the names. */
const RSES = [
  { name: 'STORE', deterministic: false, prefix: STORE },
  { name: 'TAPE', deterministic: true, prefix: TAPE, quotaBytes: 10 ** 12 },
  { name: 'HERE', deterministic: true, prefix: 'https://here.example.org/' },
] as const

export const fixedToken = (token: string): TokenSource => ({ token: async () => token, refused() {} })

/** Splits `<bucket>/<key>`. */
export const splitName = (name: string) => ({
  scope: name.slice(0, name.indexOf('/')),
  name: name.slice(name.indexOf('/') + 1),
})

export function sourceOf(name: string): CopySource {
  const { scope: bucket, name: key } = splitName(name)
  return {
    object: { bucket, key },
    open: () => {
      throw new Error('the driver must not read the bytes itself')
    },
    presign: () => Promise.reject(new Error('Rucio needs no link to the store')),
  }
}

/**
 * @param setup how the server carries out transfers (without it, it does not), and further addresses of the
 * tape, which Rucio prefers to that of the endpoint.
 */
export async function startRucioFixture(
  { otherPrefixes = [], ...setup }: Pick<RucioSetup, 'transfer'> & Pick<RucioRse, 'otherPrefixes'> = {},
  endpoint: MemoryEndpoint = memoryEndpoint(TAPE),
) {
  const rses = RSES.map((rse) => (rse.name === 'TAPE' ? { ...rse, otherPrefixes } : rse))
  const rucio = await startRucioServer({ account: 'cygno-daq', scopes: ['cygno-data'], rses, ...setup })
  return {
    rucio,
    endpoint,
    open: (more: Partial<RucioOptions> = {}) =>
      createRucioDriver({
        url: rucio.url,
        tokens: fixedToken('rucio-token'),
        account: 'cygno-daq',
        sourceRse: 'STORE',
        sourcePrefix: STORE,
        tapeRse: 'TAPE',
        destination: endpoint,
        timeoutSeconds: LONGEST_WAIT_SECONDS,
        ...more,
      }),
    /** The name at the endpoint of a file that Rucio transferred. */
    placeOf: (name: string) => endpoint.nameOf(rucio.place('TAPE', splitName(name))) ?? '',
  }
}

export type RucioFixture = Awaited<ReturnType<typeof startRucioFixture>>
