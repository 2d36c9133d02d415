/** Makes a verified copy on tape of a catalogued run with the real functions, bytes included. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { acceptTapeRequest } from '../../shared/copies/tape/tape-request.ts'
import { type ObjectName, parseRunKey } from '../../shared/run.ts'
import { signal } from './context.ts'
import type { TestTapeContext } from './tape-context.ts'
import { copyNext } from './tape-copies.ts'

export async function bringToTape(
  context: TestTapeContext,
  { bucket, key, sha256 }: ObjectName & { readonly sha256: string },
): Promise<void> {
  const run = parseRunKey(key)
  if (run === null) throw new Error(`${key} is not the key of a run`)
  await acceptTapeRequest(context, {
    tag: run.tag,
    runNumber: run.runNumber,
    bucket,
    key,
    sha256,
    priority: 'live',
  })
  const state = await copyNext(context, signal, context.log)
  if (state !== 'on-media') throw new Error(`${key} was not copied to tape: ${state}`)
}

/** The path of the copy in the folder of the directory driver. */
export const onTape = ({ tapeFolder }: TestTapeContext, { bucket, key }: ObjectName): string =>
  join(tapeFolder, bucket, key)

export function corruptOnTape(context: TestTapeContext, object: ObjectName): void {
  const path = onTape(context, object)
  rmSync(path)
  writeFileSync(path, 'other bytes')
}
