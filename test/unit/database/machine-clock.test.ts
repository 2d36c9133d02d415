/**
 * The time comes from the process (`context.now`, the database's) and durations from `performance.now()`. A
 * machine's own wall clock may be days wrong, so only these files read it.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

const READERS = [
  // One of three clocks by which a verification may be too old to delete by.
  'shared/copies/delete/surviving-copy.ts',
  // Compares it with the database's time.
  'shared/database/clock.ts',
  // The hosts' events; processes without a database; a cron expression means the wall clock.
  'shared/runtime/function-app.ts',
  'shared/runtime/open-context.ts',
  'shared/runtime/schedule.ts',
  // Compares it with the times of files, which are of the same machine.
  'shared/tape/directory/directory.ts',
  // Tokens of an IAM: their lifetime counts from their arrival on this machine, whose files also hold them.
  'shared/tape/tokens/renewed.ts',
  'shared/tape/tokens/tokens.ts',
]

test('functions and what they share do not read the wall clock of their machine', () => {
  const files = globSync('{shared,functions}/**/*.ts', { cwd: PROJECT })
  const readers = files.filter((file) =>
    /\bnew Date\(\)|\bDate\.now\b/.test(readFileSync(join(PROJECT, file), 'utf8')),
  )
  expect(readers.toSorted()).toEqual(READERS)
})
