import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import type { TapeDriver, TapeFile } from '../../../shared/tape/driver.ts'
import type { RucioOptions } from '../../../shared/tape/rucio/rucio.ts'
import { type MemoryEndpoint, memoryEndpoint } from '../../support/memory-endpoint.ts'
import { type RucioFixture, sourceOf, splitName, startRucioFixture } from '../../support/rucio-fixture.ts'
import type { RucioFault, RucioServer } from '../../support/rucio-server.ts'
import { tapeFileOf } from '../../support/tape/conformance.ts'
import { holdTimeLimits } from '../../support/time-limits.ts'

const { signal } = new AbortController()
const bytes = Buffer.from('the bytes of a run')
let fixture: RucioFixture
let rucio: RucioServer
let endpoint: MemoryEndpoint
let driver: TapeDriver
let file: TapeFile
let did: string
const open = (more: Partial<RucioOptions> = {}) => fixture.open({ destination: endpoint, ...more })
const submit = async (attempt = 1) => {
  const result = await driver.copy(file, sourceOf(file.name), { attempt }, signal)
  if (result.kind !== 'submitted') throw new Error(`not submitted: ${JSON.stringify(result)}`)
  return result.reference
}
const check = (reference: string | null, readBack: 'never' | 'if-needed' | 'always' = 'if-needed') =>
  driver.check(file, { reference, readBack }, signal)
const copy = (attempt = 1) => driver.copy(file, sourceOf(file.name), { attempt }, signal)
/** The result of a transfer by Rucio: the file at the endpoint, at the place that Rucio chooses. */
const arrive = (contents: Uint8Array = bytes) => void endpoint.files.set(fixture.placeOf(file.name), contents)

beforeEach(async () => {
  fixture = await startRucioFixture({ transfer: async () => arrive() })
  rucio = fixture.rucio
  rucio.onHang = holdTimeLimits()
  endpoint = fixture.endpoint
  driver = open()
  file = await tapeFileOf(bytes)
  did = file.name.replace('/', ':')
})
afterEach(async () => {
  vi.restoreAllMocks()
  await driver.close()
  await rucio.close()
})

describe('following', () => {
  it('a new rule proves nothing', async () => {
    const reference = await submit()
    expect(await check(reference)).toMatchObject({
      kind: 'in-progress',
      reason: expect.stringContaining('REPLICATING (0 of 1 done)'),
    })
    expect(await check(null)).toMatchObject({ kind: 'in-progress' })
  })

  it.each(['STUCK', 'WAITING_APPROVAL', 'INJECT', 'A_STATE_OF_TOMORROW', 'ok'])(
    'a rule that is %s is in progress, unknown when its state is',
    async (state) => {
      const reference = await submit()
      arrive()
      rucio.setRule(reference, {
        state,
        error: 'could not read https://s3.example.org/a?X-Amz-Signature=0123456789',
      })
      const found = await check(reference)
      expect(found).toMatchObject({
        kind: 'in-progress',
        reason: expect.stringContaining(`${state} (0 of 1 done)`),
      })
      expect(JSON.stringify(found)).not.toContain('0123456789')
      const isKnown = ['STUCK', 'WAITING_APPROVAL', 'INJECT'].includes(state)
      expect('isUnknown' in found).toBe(!isKnown)
    },
  )

  it('an OK rule counts when its locks do, its replica is available, and the endpoint has our checksum', async () => {
    const reference = await submit()
    await rucio.run()
    expect(await check(reference)).toMatchObject({
      kind: 'present',
      onMedia: true,
      verifiedBy: expect.stringContaining('adler32 of the endpoint'),
    })
    expect(await check(null)).toMatchObject({ kind: 'present' })
    rucio.setRule(reference, { locks_ok_cnt: 0 })
    expect(await check(reference)).toMatchObject({ kind: 'in-progress' })
    rucio.setRule(reference, { locks_ok_cnt: 1, locks_stuck_cnt: 1 })
    expect(await check(reference)).toMatchObject({ kind: 'in-progress' })
  })

  it.each([
    ['COPYING', 'in-progress'],
    ['BAD', 'unverified'],
    ['UNAVAILABLE', 'unverified'],
    ['BEING_DELETED', 'unverified'],
  ])('a replica that is %s does not count as a copy', async (replica, kind) => {
    const reference = await submit()
    await rucio.run()
    rucio.setReplica(did, 'TAPE', replica)
    expect(await check(reference)).toMatchObject({ kind })
  })

  it('the endpoint decides', async () => {
    const reference = await submit()
    await rucio.run()
    arrive(Buffer.from('the bytes of a rum'))
    expect(await check(reference)).toMatchObject({ kind: 'different' })
    endpoint.files.clear()
    expect(await check(reference)).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('there is no file at davs:'),
    })
    endpoint.down = true
    await expect(check(reference)).rejects.toThrow(TransientError)
  })

  it('without a reachable endpoint the state in Rucio is used, and nothing counts as read back', async () => {
    driver = open({ destination: undefined })
    const reference = await submit()
    await rucio.run()
    expect(await check(reference)).toEqual({
      kind: 'present',
      verifiedBy: 'Rucio: rule OK, replica AVAILABLE',
      evidence: 'statement',
      onMedia: true,
    })
    expect(await check(reference, 'always')).toMatchObject({ kind: 'unverified' })
    await expect(Array.fromAsync(driver.read(file, signal))).rejects.toThrow(/CYGNET_TAPE_URL/)
  })

  it('an endpoint that is not the one of the RSE verifies nothing', async () => {
    endpoint = memoryEndpoint('https://other.example.org/cygno/')
    driver = open()
    const reference = await submit()
    await rucio.run()
    expect(await check(reference)).toMatchObject({
      kind: 'unverified',
      reason: expect.stringContaining('CYGNET_TAPE_URL'),
    })
  })

  it.each([
    ['of root', ['root://tape.example.org:1094//cygno/']],
    ['of another door of the same site', ['https://door2.example.org:8443/cygno/']],
    ['below another root of the endpoint', ['davs://tape.example.org:8443/cygno-test/']],
    ['of several', ['root://tape.example.org:1094//cygno/', 'srm://tape.example.org/cygno/', 'https://a/b/']],
  ])('a file is found at the endpoint although Rucio prefers an address %s', async (_, otherPrefixes) => {
    const mixed = await startRucioFixture({ otherPrefixes, transfer: async () => arrive() }, endpoint)
    driver = mixed.open()
    const reference = await submit()
    await mixed.rucio.run()
    expect(await check(reference)).toMatchObject({
      kind: 'present',
      verifiedBy: expect.stringContaining('adler32 of the endpoint'),
    })
    expect(await driver.stage(file, { reference: null, lifetimeSeconds: 3600 }, signal)).toMatchObject({
      kind: 'online',
    })
    expect(Buffer.concat(await Array.fromAsync(driver.read(file, signal)))).toEqual(bytes)
    await mixed.rucio.close()
  })

  it.each(['https://tape.example.org:8443/cygno', 'davs://tape.example.org:8443//cygno/'])(
    '%s is the same endpoint written otherwise',
    async (root) => {
      endpoint = memoryEndpoint(root.replace(/\/*$/, '/'))
      driver = open()
      const reference = await submit()
      await rucio.run()
      arrive()
      expect(await check(reference)).toMatchObject({ kind: 'present' })
    },
  )

  it('a replica without a rule does not count as a copy, and a missing rule has failed', async () => {
    const reference = await submit()
    await rucio.run()
    rucio.forgetRule(reference)
    expect(await check(null)).toEqual({ kind: 'absent', evidence: 'statement' })
    expect(await check(reference)).toMatchObject({ kind: 'failed' })
    expect(await check(await submit(2))).toMatchObject({ kind: 'present' })
  })

  it('a rule of another file or RSE proves nothing about ours', async () => {
    const reference = await submit()
    await rucio.run()
    file = await tapeFileOf(bytes)
    expect(await check(reference)).toMatchObject({ kind: 'failed' })
  })

  it.each<RucioFault>(['drop', 'html', 'half', '503', 'hang', 'error-in-stream'])(
    'an answer that is of no use (%s) changes nothing',
    async (fault) => {
      const reference = await submit()
      await rucio.run()
      rucio.fail(fault)
      await expect(check(reference)).rejects.toThrow(TransientError)
      rucio.fail(fault)
      await expect(copy()).rejects.toThrow(TransientError)
      expect(await check(reference)).toMatchObject({ kind: 'present' })
    },
  )

  it('a source that is another object now gives no copy: Rucio compares the bytes with the registered checksum', async () => {
    const changed = await startRucioFixture({
      transfer: () => Promise.reject(new Error('checksum mismatch')),
    })
    driver = changed.open()
    const reference = await submit()
    await changed.rucio.run()
    expect(await check(reference)).toMatchObject({
      kind: 'in-progress',
      reason: expect.stringContaining('checksum mismatch'),
    })
    await changed.rucio.close()
  })
})

describe('bringing back', () => {
  it('with an endpoint a file is brought back from there, wherever Rucio has put it', async () => {
    await submit()
    await rucio.run()
    expect(await driver.stage(file, { reference: null, lifetimeSeconds: 3600 }, signal)).toEqual({
      kind: 'online',
      reference: null,
    })
    expect(Buffer.concat(await Array.fromAsync(driver.read(file, signal)))).toEqual(bytes)
    expect(rucio.rules.size).toBe(1)
    await driver.release(file, 'request-1', signal)
    expect(endpoint.released).toEqual([`${fixture.placeOf(file.name)} request-1`])
  })

  it('many files are requested from the endpoint together, without one that Rucio does not know or has elsewhere', async () => {
    await submit()
    await rucio.run()
    const unknown = await tapeFileOf(bytes)
    const elsewhere = await tapeFileOf(bytes)
    const named = splitName(elsewhere.name)
    rucio.know({ ...named, bytes: bytes.length, adler32: file.adler32, md5: file.md5 }, 'TAPE')
    const pfn = `davs://elsewhere.example.org/${elsewhere.name}`
    const did = elsewhere.name.replace('/', ':')
    rucio.file(did)?.replicas.set('TAPE', { pfn, state: 'AVAILABLE' })
    const requested: string[] = []
    const destination: MemoryEndpoint = {
      ...endpoint,
      async stageAll(files) {
        requested.push(...files.map(({ name }) => name))
        return { reference: 'request-1', files, leftOut: [] }
      },
    }
    driver = open({ destination })
    const limits = { lifetimeSeconds: 3600, checkSeconds: 60 }
    expect(await driver.stageAll?.([unknown, elsewhere, file], limits, signal)).toEqual({
      reference: 'request-1',
      files: [file],
      leftOut: [unknown, elsewhere],
    })
    expect(requested).toEqual([fixture.placeOf(file.name)])
    expect(await driver.stageAll?.([unknown], limits, signal)).toBeNull()
  })

  it('without an endpoint a file is brought back by a rule for the store with a limited lifetime, followed until it is OK', async () => {
    const { scope, name } = splitName(file.name)
    rucio.know({ scope, name, bytes: bytes.length, adler32: file.adler32, md5: file.md5 }, 'TAPE')
    driver = open({ destination: undefined, sourceRse: 'HERE', sourcePrefix: undefined })
    const ninetyDaysFromNow = () => Date.now() + 90 * 86_400_000
    const earliest = ninetyDaysFromNow() - 1000 // Rucio gives whole seconds
    const staging = await driver.stage(file, { reference: null, lifetimeSeconds: 10 ** 9 }, signal)
    if (staging.kind !== 'staging') throw new Error('not staging')
    expect(rucio.rules.get(staging.reference)).toMatchObject({ rse_expression: 'HERE' })
    const expiresAt = Date.parse(rucio.rules.get(staging.reference)?.expires_at ?? '')
    expect(expiresAt).toBeGreaterThanOrEqual(earliest)
    expect(expiresAt).toBeLessThanOrEqual(ninetyDaysFromNow())
    expect(
      await driver.stage(file, { reference: staging.reference, lifetimeSeconds: 60 }, signal),
    ).toMatchObject({ kind: 'staging' })
    await rucio.run()
    expect(await driver.stage(file, { reference: staging.reference, lifetimeSeconds: 60 }, signal)).toEqual({
      kind: 'online',
      reference: staging.reference,
    })
    const rules = structuredClone([...rucio.rules])
    expect(rules).toHaveLength(1)
    // Without its rule Rucio might delete the file that it has just brought into our store.
    await driver.release(file, staging.reference, signal)
    expect([...rucio.rules]).toEqual(rules)
  })

  it('a file that Rucio does not know cannot be brought back', async () => {
    await expect(driver.stage(file, { reference: null, lifetimeSeconds: 60 }, signal)).rejects.toThrow(
      InvalidInputError,
    )
    driver = open({ destination: undefined })
    await expect(driver.stage(file, { reference: null, lifetimeSeconds: 60 }, signal)).rejects.toThrow(
      InvalidInputError,
    )
  })
})
