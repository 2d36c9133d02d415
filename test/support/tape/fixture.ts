/** What the conformance suite needs of a driver's test, and what it does with it again and again. */
import { expect } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import type { CopyResult, TapeCheck, TapeDriver, TapeFile } from '../../../shared/tape/driver.ts'
import { fingerprint } from './files.ts'
import type { SourceFault, TestSource } from './sources.ts'

const never = new AbortController().signal

export interface DriverFixture {
  readonly driver: TapeDriver
  /** Puts bytes under a name behind the driver's back, in place of what was there. */
  plant(name: string, bytes: Uint8Array): Promise<void>
  /** What really is under a name, or null: asked of the endpoint itself, not of the driver. */
  bytesAt(name: string): Promise<Uint8Array | null>
  /** Lets services end what they work on; a driver that works by itself has nothing to do here. */
  settle(): Promise<void>
  /**
   * See test/support/tape/sources.ts: `memorySource`, or `startSourceServer` where the endpoint fetches by
   * itself.
   */
  makeSource(name: string, bytes: Uint8Array, fault?: SourceFault): TestSource
  close(): Promise<void>
}

/** The folder a file has for itself (see `freshName`), as a prefix. */
export const folderOf = (file: TapeFile) => file.name.split('/').slice(0, 3).join('/').concat('/')

/** The fixture is made before the first test runs: hence a function that gives it. */
export function createActions(fixture: () => DriverFixture) {
  const check = (
    file: TapeFile,
    readBack: 'never' | 'if-needed' | 'always' = 'if-needed',
    reference: string | null = null,
  ) => fixture().driver.check(file, { reference, readBack }, never)

  /**
   * Copies and waits for its end, as track-tape does. What a service could not do ends as a TransientError,
   * as for a driver that copies by itself.
   */
  const copy = async (
    file: TapeFile,
    bytes: Uint8Array,
    fault: SourceFault = {},
    attempt = 1,
  ): Promise<CopyResult | TapeCheck> => {
    const result = await fixture().driver.copy(
      file,
      fixture().makeSource(file.name, bytes, fault),
      { attempt },
      never,
    )
    if (result.kind !== 'submitted') return result
    await fixture().settle()
    const found = await check(file, 'if-needed', result.reference)
    if (found.kind === 'failed') throw new TransientError(`the service gave up: ${found.reason}`)
    return found
  }

  const expectPresent = async (file: TapeFile, bytes: Uint8Array) => {
    const found = await check(file)
    expect(found).toMatchObject({ kind: 'present' })
    expect(found.kind === 'present' && found.verifiedBy).toBeTruthy()
    expect(fingerprint(await fixture().bytesAt(file.name))).toBe(fingerprint(bytes))
  }

  const listed = async (prefix: string) => {
    const { driver } = fixture()
    if (driver.list === undefined) return null
    const entries = await Array.fromAsync(driver.list(prefix, never))
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  return { check, copy, expectPresent, listed }
}
