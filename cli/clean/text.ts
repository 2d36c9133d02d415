/** The report of the cleaner as text: what was deleted, would be deleted, and is kept. */

import type { CleanedEvents } from '../../shared/copies/clean/clean-events.ts'
import type { CleanPolicy, StoreUsage } from '../../shared/copies/clean/clean-policy.ts'
import { KEEP_REASONS, type KeptFiles } from '../../shared/copies/clean/clean-reasons.ts'
import type { CleanedFile, CleanedRuns } from '../../shared/copies/clean/clean-result.ts'
import type { FileOfRun } from '../../shared/copies/verify/files-of-run.ts'
import type { Replica } from '../../shared/database/replica-schema.ts'
import { copyText } from '../../shared/queries/state-words.ts'
import { bytes, list, table, time } from '../output.ts'

export function eventsText(events: CleanedEvents, dryRun: boolean): string {
  const more = [
    ...(events.unrecognised > 0
      ? [`${events.unrecognised} objects do not have names of events and are kept`]
      : []),
    ...(events.changed > 0 ? [`${events.changed} were replaced meanwhile`] : []),
    ...(events.failed > 0 ? [`${events.failed} could not be deleted`] : []),
    ...(events.finished ? [] : ['interrupted']),
  ]
  const what = `${events.deleted} of ${events.listed} ${dryRun ? 'would be deleted' : 'deleted'}, ${bytes(events.deletedBytes)}`
  return [`events: ${what}`, ...more].join('; ')
}

export function runsText(runs: CleanedRuns, dryRun: boolean): string {
  const section = (title: string, files: readonly CleanedFile[]) =>
    files.length === 0
      ? []
      : [
          `${title}\n${table(
            ['run', 'tag', 'key', 'size', 'reason'],
            files.map((file) => [file.runNumber, file.tag, file.key, bytes(file.sizeBytes), file.reason]),
          )}`,
        ]
  return [
    runsLine(runs, dryRun),
    ...section(dryRun ? 'would be deleted' : 'deleted', runs.deleted),
    ...section('kept', runs.refused),
    ...section('failed', runs.failed),
    ...(runs.capReached
      ? ['more files are due than the cleaner deletes at once (CYGNET_CLEAN_MOST_RUNS)']
      : []),
    ...(runs.storeIsFull ? ['the store is above its high-water mark, and no other file may be deleted'] : []),
  ].join('\n')
}

function runsLine({ deleted, refused, failed, deletedBytes }: CleanedRuns, dryRun: boolean): string {
  if (deleted.length + refused.length + failed.length === 0)
    return 'runs: no file is due that is in the store and has a copy on tape'
  const files = `${deleted.length} ${deleted.length === 1 ? 'file' : 'files'}`
  return `runs: ${files} ${dryRun ? 'would be deleted, once their copies on tape are verified' : 'deleted'}, ${bytes(deletedBytes)}`
}

/** The policy in force, and why the files in the store are kept. */
export function keptFilesText(policy: CleanPolicy, kept: KeptFiles): string {
  const rows = kept.reasons.map(({ reason, files, sizeBytes, example }) => [
    files,
    bytes(sizeBytes),
    KEEP_REASONS[reason],
    `run ${example.runNumber} of ${example.tag}`,
  ])
  const which =
    kept.looked === 0
      ? 'no file of a run is in the store'
      : kept.isAll
        ? 'in the store'
        : `the ${kept.looked} oldest files in the store`
  return [
    list([
      ['policy', policyLine(policy)],
      [
        'always',
        `files that arrived within the last day are kept; at most ${policy.mostFiles} files at a time; recalled runs are deleted when their time is over`,
      ],
      [
        'tape',
        policy.tapeEndpoint ??
          'no tape endpoint is configured (CYGNET_TAPE_DRIVER): no run may be deleted from the store',
      ],
      [
        'used',
        policy.room === null ? 'not known: CYGNET_CLOUD_CAPACITY_BYTES is not set' : usedLine(policy.room),
      ],
    ]),
    which,
    ...(rows.length === 0 ? [] : [table(['files', 'size', 'which', 'e.g.'], rows)]),
  ].join('\n')
}

function policyLine({ afterDays, room }: CleanPolicy): string {
  const rules = [
    ...(afterDays === null
      ? []
      : [
          `runs are deleted from the store ${afterDays} days after their arrival (CYGNET_CLEAN_RUNS_AFTER_DAYS)`,
        ]),
    ...(room === null
      ? []
      : [
          `above ${share(room.highBytes, room)} the oldest are deleted earlier, until ${share(room.lowBytes, room)}`,
        ]),
  ]
  return rules.length === 0
    ? 'none (neither CYGNET_CLEAN_RUNS_AFTER_DAYS nor CYGNET_CLOUD_CAPACITY_BYTES is set)'
    : rules.join('; ')
}

const usedLine = (room: StoreUsage) =>
  `${bytes(room.usedBytes)} of ${bytes(room.capacityBytes)}, ${share(room.usedBytes, room)}`
const share = (part: number, { capacityBytes }: StoreUsage) => `${Math.round((part / capacityBytes) * 100)} %`

/** Where each file of the given run is, and what was done with it. */
export function runText(files: readonly FileOfRun[], runs: CleanedRuns, dryRun: boolean): string {
  const outcomes = new Map<string, readonly [what: string, reason: string]>()
  for (const file of runs.deleted)
    outcomes.set(
      nameOf(file),
      dryRun
        ? ['would be deleted', 'once its copy on tape is verified']
        : ['deleted', 'its copy on tape was verified right before'],
    )
  for (const file of runs.refused) outcomes.set(nameOf(file), ['kept', file.reason])
  for (const file of runs.failed) outcomes.set(nameOf(file), ['failed', file.reason])
  const texts = files.map(({ tag, runNumber, file, copies }) => {
    const [what, reason] = outcomes.get(nameOf({ tag, key: file.objectKey })) ?? [
      'nothing',
      'to be deleted in the store',
    ]
    const rows = list([
      ['store', copiesText(copies, 'cloud', 'it was never there')],
      ['tape', copiesText(copies, 'tape', 'no copy was requested yet')],
      [what, reason],
    ])
    return `run ${runNumber} of ${tag}: ${file.objectKey}, ${bytes(file.sizeBytes)}\n${rows.replaceAll(/^/gm, '  ')}`
  })
  return [
    runsLine(runs, dryRun),
    ...texts,
    ...(runs.capReached ? ['the run has more files than the cleaner deletes at once'] : []),
  ].join('\n')
}

const nameOf = ({ tag, key }: { readonly tag: string; readonly key: string }) => `${tag} ${key}`

const copiesText = (copies: readonly Replica[], kind: Replica['kind'], none: string): string =>
  copies
    .filter((copy) => copy.kind === kind)
    .map(stateText)
    .join('; ') || none

function stateText({ state, verifiedAt, deletedAt, lastError: error }: Replica): string {
  if (state === 'deleted') return `deleted by Cygnet ${time(deletedAt)} UTC`
  const verified = verifiedAt === null ? '' : `, last verified ${time(verifiedAt)} UTC`
  return `${copyText(state)}${verified}${error === null ? '' : `: ${error}`}`
}
