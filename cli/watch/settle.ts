/**
 * What became of files since the catalogue was told of them last: removed by us before a crash, or by
 * somebody else.
 */
import { basename, dirname, join } from 'node:path'
import { classify, TransientError } from '../../shared/errors.ts'
import { parseRunKey } from '../../shared/run.ts'
import type { Untold } from './deletion-log.ts'
import type { JournalEntry } from './journal.ts'
import { folderIdentity, isOnDisk } from './on-disk.ts'
import type { SafetyPort } from './safety.ts'
import { remember } from './send-next.ts'
import { sentenceOf, type Watch } from './watch-state.ts'

/** Throws when the catalogue does not answer: then the rest waits. */
export async function settle(watch: Watch, safety: SafetyPort): Promise<void> {
  await endRemovals(watch, safety)
  await tellVanished(watch, safety)
}

async function isOfThisFolder({ request, journal }: Watch, path: string): Promise<boolean> {
  return (
    dirname(path) === request.folder &&
    journal.last(basename(path))?.folder === (await folderIdentity(request.folder))
  )
}

/** Permissions whose end was not told: the program was killed, or the API was away. */
async function endRemovals(watch: Watch, safety: SafetyPort): Promise<void> {
  const { deletions, context } = watch
  if (deletions === null) return
  for (const record of await deletions.untold()) {
    // Another folder's are for who watches that one: he may be at it just now.
    if (dirname(record.path) !== watch.request.folder) continue
    const gone = await isGone(watch, record)
    if (gone === null) continue
    try {
      await safety.endRemoval(record, record.permission, gone, context.signal)
    } catch (error) {
      // About this one alone: it is said again the next time, and the others go on.
      if (context.signal.aborted || classify(error) instanceof TransientError) throw error
      context.report({
        event: 'watch-failing',
        what: 'catalogue',
        error: sentenceOf(error),
        againSeconds: context.tidyMs / 1000,
      })
      continue
    }
    deletions.append({ ...record, at: new Date(context.clock.wallMs()).toISOString(), state: 'told' })
  }
}

async function isGone(watch: Watch, record: Untold): Promise<boolean | null> {
  if (record.state === 'deleted') return true
  if (isOnDisk(record)) return false
  return (await isOfThisFolder(watch, record.path)) ? true : null
}

/** Files that the catalogue counts, and that are not in the folder any more. */
async function tellVanished(watch: Watch, safety: SafetyPort): Promise<void> {
  for (const entry of watch.journal.noted()) {
    if (watch.context.signal.aborted) return
    if (!(await hasVanished(watch, entry))) continue
    const { name, bucket, key, sha256, sizeBytes } = entry
    const path = join(watch.request.folder, name)
    const file = { bucket, key, sha256, sizeBytes, path }
    if (!(await safety.vanished(file, watch.context.signal))) continue
    remember(watch, { ...entry, state: 'gone' })
    const run = parseRunKey(key)
    if (run !== null)
      watch.context.report({ event: 'file-vanished', run: run.runNumber, tag: run.tag, key, path })
  }
}

async function hasVanished(
  { request, files }: Watch,
  { name, sizeBytes, folder }: JournalEntry,
): Promise<boolean> {
  const path = join(request.folder, name)
  if (folder === null || folder !== files.folder() || isOnDisk({ path, sizeBytes })) return false
  // Asked last: a disk that was taken away before the look at the file shows here.
  return folder === (await folderIdentity(request.folder))
}
