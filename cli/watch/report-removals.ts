/**
 * Reports to the catalogue which files were removed since its last report: by this program before a crash, or
 * by another one.
 */
import { basename, dirname, join } from 'node:path'
import { parseRunKey } from '../../shared/run.ts'
import type { UnreportedRemoval } from './deletion-log.ts'
import type { JournalEntry } from './journal.ts'
import { folderIdentity, isOnDisk } from './on-disk.ts'
import type { SafetyPort } from './safety.ts'
import { remember } from './send-next.ts'
import { outcomeOf, type Watch } from './watch-state.ts'

/** Throws when the catalogue does not answer; the rest is reported later. */
export async function reportRemovals(watch: Watch, safety: SafetyPort): Promise<void> {
  await endRemovals(watch, safety)
  await reportVanished(watch, safety)
}

async function isOfThisFolder({ request, journal }: Watch, path: string): Promise<boolean> {
  return (
    dirname(path) === request.folder &&
    journal.last(basename(path))?.folder === (await folderIdentity(request.folder))
  )
}

/** Reports outcomes of permissions that are missing, because the program was killed or the API did not answer. */
async function endRemovals(watch: Watch, safety: SafetyPort): Promise<void> {
  const { deletions, context } = watch
  if (deletions === null) return
  for (const record of await deletions.unreported()) {
    // Removals in another folder belong to the process that watches it, and may be in progress.
    if (dirname(record.path) !== watch.request.folder) continue
    const deleted = await isDeleted(watch, record)
    if (deleted === null) continue
    // An error of this removal only: it is reported again the next time, and the others go on.
    const ended = safety.endRemoval(record, record.permission, deleted, context.signal).then(() => true)
    if (!(await outcomeOf(watch, ended)).isNoted) continue
    deletions.append({ ...record, at: new Date(context.clock.wallMs()).toISOString(), state: 'told' })
  }
}

async function isDeleted(watch: Watch, record: UnreportedRemoval): Promise<boolean | null> {
  if (record.state === 'deleted') return true
  if (isOnDisk(record)) return false
  return (await isOfThisFolder(watch, record.path)) ? true : null
}

/** Reports files that the catalogue has on this disk, and that are missing in the folder. */
async function reportVanished(watch: Watch, safety: SafetyPort): Promise<void> {
  for (const entry of watch.journal.noted()) {
    if (watch.context.signal.aborted) return
    if (!(await hasVanished(watch, entry))) continue
    const { name, bucket, key, sha256, sizeBytes } = entry
    const path = join(watch.request.folder, name)
    const file = { bucket, key, sha256, sizeBytes, path }
    const reported = await outcomeOf(watch, safety.reportVanished(file, watch.context.signal))
    if (!reported.isNoted) continue
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
  // Checked last, to notice a disk that was unmounted before the file was checked.
  return folder === (await folderIdentity(request.folder))
}
