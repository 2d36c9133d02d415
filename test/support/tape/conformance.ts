/**
 * The conformance suite of tape drivers: the promises of shared/tape/driver.ts. The test of a driver makes a
 * fixture and adds its own cases:
 *
 * @example
 * driverConformance('directory', async () => ({ driver, plant, bytesAt, settle: async () => {}, makeSource: memorySource, close }))
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConflictError, InvalidInputError, TransientError } from '../../../shared/errors.ts'
import type { TapeFile } from '../../../shared/tape/driver.ts'
import { fingerprint, freshName, tapeFileOf } from './files.ts'
import { createActions, type DriverFixture, folderOf } from './fixture.ts'

export { freshName, tapeFileOf } from './files.ts'

export interface DriverTraits {
  /** `copy` submits a job to a service and returns `submitted`. */
  readonly asynchronous?: boolean
  /**
   * The endpoint accepts only letters, digits, dots, dashes, underscores and slashes (as Rucio does); else
   * any name.
   */
  readonly plainNames?: boolean
  /** The endpoint accepts requests of many files (`stageAll`); else it may refuse to (null). */
  readonly stagesTogether?: boolean
  /** The endpoint cuts names at a question mark (as XRootD 5.5 does). */
  readonly cutsNames?: boolean
}

const never = new AbortController().signal
const ODD_NAMES = [
  'run 00012 copy.mid.gz',
  'run00012+a&b=c;d.mid.gz',
  'run00012%2F100%.mid.gz',
  'run00012#1?x.mid.gz',
  'Läufe/ランス/run00012–é.mid.gz',
  '~user/.hidden/run00012.mid.gz',
  'a/b/c/d/e/f/g/h/run00012.mid.gz',
  `${'x'.repeat(200)}.mid.gz`,
  'run\'00012"(1)[2]{3}.mid.gz',
]
const MB = 1_000_000

export function driverConformance(
  kind: string,
  makeFixture: () => Promise<DriverFixture>,
  traits: DriverTraits = {},
): void {
  describe(`a ${kind} endpoint keeps the promises of every driver`, () => {
    let fixture: DriverFixture
    beforeAll(async () => {
      fixture = await makeFixture()
    })
    afterAll(() => fixture?.close())

    const { check, copy, expectPresent, listed } = createActions(() => fixture)

    it.each([
      ['a small file', 1234],
      ['an empty file', 0],
      ['a file of many chunks', 20 * MB + 7],
    ])('%s is absent before its copy and present after, byte for byte', async (_, sizeBytes) => {
      const bytes = randomBytes(sizeBytes)
      const file = await tapeFileOf(bytes)
      expect(await check(file)).toMatchObject({ kind: 'absent' })
      const result = await copy(file, bytes)
      if (result.kind !== 'present') {
        if (result.kind !== 'stored') expect.fail(`the copy ended as ${JSON.stringify(result)}`)
        expect(result.verifiedBy).toBeTruthy()
        if (result.how === 'streamed') expect(result.bytesThroughUs).toBe(sizeBytes)
        else expect(result.bytesThroughUs).toBeLessThanOrEqual(sizeBytes)
      }
      await expectPresent(file, bytes)
    })

    it('a second copy of the same file finds it and leaves it unchanged', async () => {
      const bytes = randomBytes(5000)
      const file = await tapeFileOf(bytes)
      await copy(file, bytes)
      const again = await copy(file, bytes)
      expect(again.kind).toMatch(/^(stored|present)$/)
      await expectPresent(file, bytes)
    })

    it('two concurrent copies end as one good file', async () => {
      const bytes = randomBytes(3 * MB)
      const file = await tapeFileOf(bytes)
      const source = () => fixture.makeSource(file.name, bytes)
      const results = await Promise.allSettled(
        [1, 2].map(() => fixture.driver.copy(file, source(), { attempt: 1 }, never)),
      )
      for (const result of results) {
        if (result.status === 'fulfilled') expect(result.value.kind).toMatch(/^(stored|submitted)$/)
        else
          expect(
            [TransientError, ConflictError].some((kind) => result.reason instanceof kind),
            String(result.reason),
          ).toBe(true)
      }
      await fixture.settle()
      if ((await check(file)).kind !== 'present') await copy(file, bytes, {}, 2)
      await expectPresent(file, bytes)
      const names = await listed(folderOf(file))
      if (names !== null) expect(names).toEqual([{ name: file.name, sizeBytes: bytes.length }])
    })

    it.each([
      ['other contents of the same size', 5000],
      ['a longer file', 9000],
      ['an empty file', 0],
    ])('%s under the name is left unchanged by a copy', async (_, occupantBytes) => {
      const occupant = randomBytes(occupantBytes)
      const bytes = randomBytes(5000)
      const file = await tapeFileOf(bytes)
      await fixture.plant(file.name, occupant)
      expect(await check(file)).toMatchObject({ kind: 'different' })
      const result = await copy(file, bytes).catch((error: unknown) => error)
      if (traits.asynchronous !== true) expect(result).toMatchObject({ kind: 'occupied' })
      else if (!(result instanceof TransientError))
        expect(JSON.stringify(result)).toMatch(/"(occupied|different)"/)
      expect(fingerprint(await fixture.bytesAt(file.name))).toBe(fingerprint(occupant))
    })

    it.each([
      [
        'other bytes of the same size',
        (bytes: Buffer) => Buffer.from(bytes).fill(7, 2000, 2001 + (bytes[2000] === 7 ? 3 : 0)),
      ],
      ['too few bytes', (bytes: Buffer) => bytes.subarray(0, -1)],
      ['too many bytes', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)])],
      ['no bytes', () => Buffer.alloc(0)],
    ])('a copy from a source with %s is refused and leaves nothing under the name', async (_, change) => {
      const bytes = randomBytes(200_000)
      const file = await tapeFileOf(bytes)
      const outcome = await copy(file, change(bytes)).catch((error: unknown) => error)
      expect(outcome).toBeInstanceOf(traits.asynchronous === true ? Error : InvalidInputError)
      expect(await fixture.bytesAt(file.name)).toBeNull()
      const names = await listed(folderOf(file))
      if (names !== null) expect(names).toEqual([])
    })

    it('a source that breaks leaves nothing under the name, and the next copy succeeds', async () => {
      const bytes = randomBytes(2 * MB)
      const file = await tapeFileOf(bytes)
      await expect(copy(file, bytes, { breaksAfter: MB })).rejects.toThrow(TransientError)
      expect(await fixture.bytesAt(file.name)).toBeNull()
      expect((await check(file)).kind).toMatch(/^(absent|failed)$/)
      await copy(file, bytes, {}, 2)
      await expectPresent(file, bytes)
      const names = await listed(folderOf(file))
      if (names !== null) expect(names).toEqual([{ name: file.name, sizeBytes: bytes.length }])
    })

    it('a copy that is aborted before it begins does nothing', async () => {
      const bytes = randomBytes(5000)
      const file = await tapeFileOf(bytes)
      const source = fixture.makeSource(file.name, bytes)
      await expect(fixture.driver.copy(file, source, { attempt: 1 }, AbortSignal.abort())).rejects.toThrow()
      await fixture.settle()
      expect(await fixture.bytesAt(file.name)).toBeNull()
    })

    it.skipIf(traits.asynchronous === true)(
      'a copy whose source hangs ends when it is aborted, and leaves nothing under the name',
      async () => {
        const bytes = randomBytes(2 * MB)
        const file = await tapeFileOf(bytes)
        const stop = new AbortController()
        // The source hangs for longer than the time limit of the test.
        const onHang = () => void setImmediate(() => stop.abort())
        const source = fixture.makeSource(file.name, bytes, { hangsAfter: MB, onHang })
        await expect(fixture.driver.copy(file, source, { attempt: 1 }, stop.signal)).rejects.toThrow()
        expect(await fixture.bytesAt(file.name)).toBeNull()
        await copy(file, bytes, {}, 2)
        await expectPresent(file, bytes)
      },
    )

    it('bytes that were damaged at the endpoint are detected when they are read back', async () => {
      const bytes = randomBytes(300_000)
      const file = await tapeFileOf(bytes)
      await copy(file, bytes)
      expect(await check(file, 'always')).toMatchObject({ kind: 'present' })
      const damaged = Buffer.from(bytes)
      damaged[150_000] = (damaged[150_000] ?? 0) ^ 1
      await fixture.plant(file.name, damaged)
      expect(await check(file, 'always')).toMatchObject({ kind: 'different' })
      await fixture.plant(file.name, bytes.subarray(0, -1))
      expect(await check(file, 'never')).toMatchObject({ kind: 'different' })
    })

    it('a check without reading back never returns "present" for a copy that was not compared', async () => {
      const bytes = randomBytes(1000)
      const file = await tapeFileOf(bytes)
      const damaged = Buffer.from(bytes).reverse()
      await fixture.plant(file.name, damaged)
      expect((await check(file, 'never')).kind).toMatch(/^(unverified|different)$/)
    })

    it('a check changes nothing', async () => {
      const bytes = randomBytes(1000)
      const file = await tapeFileOf(bytes)
      const before = await listed('')
      for (const readBack of ['never', 'if-needed', 'always'] as const)
        expect(await check(file, readBack)).toMatchObject({ kind: 'absent' })
      expect(await listed('')).toEqual(before)
      await fixture.plant(file.name, bytes)
      for (const readBack of ['never', 'if-needed', 'always'] as const) await check(file, readBack)
      expect(fingerprint(await fixture.bytesAt(file.name))).toBe(fingerprint(bytes))
    })

    it('a copy is staged, and read with the same bytes', async () => {
      const bytes = randomBytes(3 * MB + 1)
      const file = await tapeFileOf(bytes)
      await copy(file, bytes)
      let staged = await fixture.driver.stage(file, { reference: null, lifetimeSeconds: 3600 }, never)
      for (let asked = 0; staged.kind === 'staging' && asked < 10; asked += 1) {
        await fixture.settle()
        staged = await fixture.driver.stage(
          file,
          { reference: staged.reference, lifetimeSeconds: 3600 },
          never,
        )
      }
      expect(staged).toMatchObject({ kind: 'online' })
      const read = Buffer.concat(await Array.fromAsync(fixture.driver.read(file, never)))
      expect(fingerprint(read)).toBe(fingerprint(bytes))
    })

    it('a release leaves the copy unchanged, also when it is repeated or names an unknown request', async () => {
      const bytes = randomBytes(5000)
      const file = await tapeFileOf(bytes)
      await copy(file, bytes)
      const staged = await fixture.driver.stage(file, { reference: null, lifetimeSeconds: 3600 }, never)
      for (const reference of [staged.reference, staged.reference, 'an-unknown-request'])
        if (reference !== null) await fixture.driver.release(file, reference, never)
      await fixture.settle()
      await expectPresent(file, bytes)
    })

    it('files requested together are followed and released one by one, and a missing one is left out', async (context) => {
      const stageAll = fixture.driver.stageAll?.bind(fixture.driver)
      if (traits.stagesTogether === true) expect(stageAll).toBeDefined()
      if (stageAll === undefined) return context.skip('this driver requests each file by itself')
      const contents = [randomBytes(5000), randomBytes(6000)]
      const [one, other] = (await Promise.all(contents.map((bytes) => tapeFileOf(bytes)))) as [
        TapeFile,
        TapeFile,
      ]
      const missing = await tapeFileOf(randomBytes(100))
      for (const [index, { name }] of [one, other].entries()) {
        await fixture.plant(name, contents[index] as Buffer)
        fixture.sleep?.(name)
      }
      const limits = { lifetimeSeconds: 3600, checkSeconds: 60 }
      expect(await stageAll([missing], limits, never)).toBeNull()
      const together = await stageAll([one, missing, other], limits, never)
      if (together === null) return expect(traits.stagesTogether).not.toBe(true)
      const { reference } = together
      expect(together).toEqual({ reference: expect.any(String), files: [one, other], leftOut: [missing] })
      expect(reference).not.toBe('')
      const stage = (file: TapeFile) =>
        fixture.driver.stage(file, { reference, lifetimeSeconds: 3600 }, never)
      for (const file of [one, other])
        if (fixture.sleep !== undefined)
          expect(await stage(file)).toMatchObject({ kind: 'staging', reference })
      await fixture.settle()
      for (const [index, file] of [one, other].entries()) {
        expect(await stage(file)).toEqual({ kind: 'online', reference })
        const read = Buffer.concat(await Array.fromAsync(fixture.driver.read(file, never)))
        expect(fingerprint(read)).toBe(fingerprint(contents[index] as Buffer))
      }
      // The end of one is not that of the other; of a file that is not in the request nothing ends.
      for (const file of [one, one, missing]) await fixture.driver.release(file, reference, never)
      expect(await stage(other)).toEqual({ kind: 'online', reference })
      await fixture.driver.release(other, reference, never)
      for (const [index, { name }] of [one, other].entries())
        expect(fingerprint(await fixture.bytesAt(name))).toBe(fingerprint(contents[index] as Buffer))
    })

    it('a request of many files that is aborted before it begins requests nothing', async (context) => {
      const { driver } = fixture
      if (driver.stageAll === undefined) return context.skip('this driver requests each file by itself')
      const bytes = randomBytes(100)
      const file = await tapeFileOf(bytes)
      await fixture.plant(file.name, bytes)
      const limits = { lifetimeSeconds: 3600, checkSeconds: 60 }
      const request = driver.stageAll([file], limits, AbortSignal.abort(new Error('stopped')))
      // An endpoint that is known to have no tape system need not be asked.
      if (traits.stagesTogether === true) await expect(request).rejects.toThrow()
      else expect(await request.catch(() => null)).toBeNull()
    })

    it('a missing file can be neither staged nor read', async () => {
      const file = await tapeFileOf(randomBytes(100))
      await expect(
        fixture.driver.stage(file, { reference: null, lifetimeSeconds: 60 }, never),
      ).rejects.toThrow()
      await expect(Array.fromAsync(fixture.driver.read(file, never))).rejects.toThrow()
    })

    it('a read of a truncated copy fails', async () => {
      const bytes = randomBytes(100_000)
      const file = await tapeFileOf(bytes)
      await fixture.plant(file.name, bytes.subarray(0, 60_000))
      await expect(Array.fromAsync(fixture.driver.read(file, never))).rejects.toThrow()
    })

    it('the listing has the copies below the prefix, with their sizes', async (context) => {
      if (fixture.driver.list === undefined) return context.skip('this endpoint gives no listing')
      const bytes = randomBytes(4321)
      const [file, other] = [await tapeFileOf(bytes), await tapeFileOf(bytes)]
      await copy(file, bytes)
      await copy(other, bytes)
      expect(await listed(folderOf(file))).toEqual([{ name: file.name, sizeBytes: 4321 }])
      expect((await listed(''))?.map((entry) => entry.name)).toEqual(
        expect.arrayContaining([file.name, other.name]),
      )
      expect(await listed(`${folderOf(file)}nothing/here/`)).toEqual([])
    })

    it
      .skipIf(traits.plainNames === true)
      .each(ODD_NAMES.filter((name) => traits.cutsNames !== true || !name.includes('?')))(
      'the name %s is listed and read as it was written',
      async (name) => {
        const bytes = randomBytes(999)
        const file = await tapeFileOf(bytes, freshName(name))
        await copy(file, bytes)
        await expectPresent(file, bytes)
        const names = await listed(folderOf(file))
        if (names !== null) expect(names).toEqual([{ name: file.name, sizeBytes: 999 }])
        expect(fingerprint(Buffer.concat(await Array.fromAsync(fixture.driver.read(file, never))))).toBe(
          fingerprint(bytes),
        )
      },
    )

    it.each([
      '../outside.mid',
      'cygno-data/../../outside.mid',
      '/etc/outside.mid',
      'cygno-data//run.mid',
      'cygno-data/./run.mid',
      'a\\..\\b',
      'a\0b',
      '',
    ])('the name "%s" is refused', async (name) => {
      const bytes = randomBytes(10)
      const file = await tapeFileOf(bytes, name)
      const source = fixture.makeSource('cygno-data/LNGS/run00012.mid.gz', bytes)
      await expect(fixture.driver.copy(file, source, { attempt: 1 }, never)).rejects.toThrow(
        InvalidInputError,
      )
      await expect(check(file)).rejects.toThrow(InvalidInputError)
      await expect(Array.fromAsync(fixture.driver.read(file, never))).rejects.toThrow(InvalidInputError)
      expect(() => fixture.driver.url(name)).toThrow(InvalidInputError)
    })

    it('the address of the endpoint and of a file carry no credentials', () => {
      const url = fixture.driver.url('cygno-data/LNGS/run00012.mid.gz')
      for (const address of [fixture.driver.endpoint, url])
        expect(address).not.toMatch(/\/\/[^/]*@|token|signature/i)
    })
  })
}
