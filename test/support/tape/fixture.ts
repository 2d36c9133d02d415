/** The fixture that the conformance suite needs, and the actions that it repeats. */
import { expect } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import type { CopyResult, TapeCheck, TapeDriver, TapeFile } from '../../../shared/tape/driver.ts'
import { fingerprint } from './files.ts'
import type { SourceFault, TestSource } from './sources.ts'

const never = new AbortController().signal

export interface DriverFixture {
  readonly driver: TapeDriver
  /** Puts bytes under a name without the driver, over what was there. */
  plant(name: string, bytes: Uint8Array): Promise<void>
  /** The bytes under a name, or null, read from the endpoint and not by the driver. */
  bytesAt(name: string): Promise<Uint8Array | null>
  /** Moves a file from disk to tape, until `settle` brings back what was requested; only where there is a tape system. */
  readonly sleep?: (name: string) => void
  /** Lets a service finish its jobs; does nothing for a driver without a service. */
  settle(): Promise<void>
  /**
   * See test/support/tape/sources.ts: `memorySource`, or `startSourceServer` if the endpoint itself fetches.
   */
  makeSource(name: string, bytes: Uint8Array, fault?: SourceFault): TestSource
  close(): Promise<void>
}

/** The folder of a file (see `freshName`), as a prefix. */
export const folderOf = (file: TapeFile) => file.name.split('/').slice(0, 3).join('/').concat('/')

/** @param fixture returns the fixture, which is made only before the first test runs. */
export function createActions(fixture: () => DriverFixture) {
  const check = (
    file: TapeFile,
    readBack: 'never' | 'if-needed' | 'always' = 'if-needed',
    reference: string | null = null,
  ) => fixture().driver.check(file, { reference, readBack }, never)

  /**
   * Copies a file and waits for the end, as track-tape does. A failed job of a service is a TransientError,
   * like a failed copy of a driver without a service.
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
