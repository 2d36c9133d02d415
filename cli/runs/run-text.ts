/** Runs as tables and as CSV. */

import { csvLine } from '../../shared/csv.ts'
import { EVENT_TRIGGER } from '../../shared/midas/format.ts'
import { shownColumns } from '../../shared/queries/shown-parameters.ts'
import { PLACES, STORE_TEXTS, TAPE_TEXTS } from '../../shared/queries/state-words.ts'
import { bytes, list, table, time } from '../output.ts'
import { RUN_FIELDS, type RunItem, type ShownFile, type ShownReplica, type ShownRun } from './run-shapes.ts'

const LONGEST_DESCRIPTION = 40

export function runTable(runs: readonly RunItem[]): string {
  return table(
    [
      'run',
      'tag',
      'started (UTC)',
      'MIDAS events',
      'size',
      'files',
      'complete',
      'problems',
      'checksums',
      'store',
      'tape',
      'description',
      'reason',
    ],
    runs.map((run) => [
      run.runNumber,
      run.tag,
      time(run.startedAt),
      run.eventCount,
      bytes(run.sizeBytes),
      run.fileCount,
      completeText(run),
      run.problems.join(', '),
      run.integrity,
      storeText(run.storage.cloud),
      tapeText(run.storage.tape),
      shortened(run.description),
      oneLine(run.problem ?? ''),
    ]),
  )
}

const completeText = ({ complete, beforeTakeOver }: Pick<RunItem, 'complete' | 'beforeTakeOver'>) =>
  `${complete ? 'yes' : 'no'}${beforeTakeOver ? ' (history)' : ''}`

const PARAMETERS = shownColumns.map(({ name }) => name)

/** The columns of the API's CSV. */
export const csvHeader = (): string =>
  csvLine([...RUN_FIELDS, 'cloud', 'tape', 'local', ...PARAMETERS.map((name) => `param.${name}`)])

export const csvRow = (run: RunItem): string =>
  csvLine([
    ...RUN_FIELDS.map((field) => (field === 'problems' ? run.problems.join(' ') : run[field])),
    run.storage.cloud,
    run.storage.tape,
    run.storage.local,
    ...PARAMETERS.map((name) => run.parameters?.[name] ?? null),
  ])

export function detailsText(run: ShownRun): string {
  return [
    list([
      ['run', `${run.runNumber} of ${run.tag}${run.current ? '' : ' (an earlier generation of the number)'}`],
      ['description', run.description === null ? null : oneLine(run.description)],
      ['started (UTC)', time(run.startedAt)],
      ['stopped (UTC)', time(run.stoppedAt)],
      ['complete', completeText(run)],
      ['problems', run.problems.length === 0 ? null : run.problems.join(', ')],
      ['problem', run.problem],
      ['checksums', run.integrity],
      ['triggers', run.events.find(({ eventId }) => eventId === EVENT_TRIGGER)?.events ?? null],
      ['MIDAS events', `${run.eventCount} (triggers and slow control)`],
      ['store', storeText(run.storage.cloud)],
      ['tape', tapeText(run.storage.tape)],
      ['size', `${bytes(run.sizeBytes)} in ${run.fileCount} ${run.fileCount === 1 ? 'file' : 'files'}`],
    ]),
    section('refused files', run.refused, (refused) =>
      table(
        ['object', 'since (UTC)', 'reason'],
        refused.map((row) => [`${row.bucket}/${row.key}`, time(row.since), oneLine(row.reason ?? '')]),
      ),
    ),
    ...run.files.map(fileText),
    section('copies', run.replicas, replicaTable),
    section('MIDAS events', run.events, (events) =>
      table(
        ['event id', 'events', 'serial gaps'],
        events.map((row) => [row.eventId, row.events, row.serialGaps]),
      ),
    ),
    section('banks', run.banks, (banks) =>
      table(
        ['bank', 'count', 'size'],
        banks.map((row) => [row.bank, row.count, bytes(row.bytes)]),
      ),
    ),
    section('parameters', parametersOf(run), list),
    section('requests', run.requests, (requests) =>
      table(
        ['queue', 'made (UTC)', 'sent (UTC)', 'name'],
        requests.map((row) => [row.queue, time(row.createdAt), time(row.sentAt), row.name]),
      ),
    ),
    section('history', run.history, (history) =>
      table(
        ['at (UTC)', 'what', 'detail'],
        history.map((row) => [time(row.at), row.what, oneLine(row.detail)]),
      ),
    ),
  ].join('')
}

function section<T>(title: string, rows: readonly T[], body: (rows: readonly T[]) => string): string {
  return rows.length === 0 ? '' : `\n\n${title}\n${body(rows)}`
}

function fileText(file: ShownFile): string {
  const body = list([
    ['size', `${file.sizeBytes} B (${bytes(file.uncompressedBytes)} of MIDAS events, ${file.compression})`],
    ['md5', file.md5],
    ['sha256', file.sha256],
    ['adler32', file.adler32],
    ['compared', comparisons(file)],
    ['problem', file.problem === null ? null : `${file.problem} (offset ${file.problemOffset ?? '-'})`],
    ['warnings', file.warnings.map((warning) => oneLine(warning.message)).join('; ') || null],
    ...cameraRows(file.cameras),
    ['stored (UTC)', time(file.lastModified)],
    ['catalogued (UTC)', time(file.cataloguedAt)],
  ])
  const what = file.live ? (file.counts ? 'file' : 'file that does not count') : 'replaced file'
  return `\n\n${what} ${file.bucket}/${file.key}\n${body}`
}

export const cameraRows = (cameras: ShownFile['cameras']) =>
  cameras.map(
    ({ number, model, width, height }) => [`camera ${number}`, `${model}, ${width} × ${height}`] as const,
  )

function replicaTable(replicas: readonly ShownReplica[]): string {
  return table(
    ['where', 'state', 'verified (UTC)', 'how', 'address', 'error'],
    replicas.map((replica) => [
      textOf(PLACES)(replica.kind),
      replica.state === 'on-media' ? tapeText(replica.state) : replica.state,
      time(replica.verifiedAt),
      evidenceText(replica),
      replica.url,
      oneLine(replica.lastError ?? ''),
    ]),
  )
}

/** How it was verified, and by what it was contradicted since. */
const evidenceText = ({ verifiedEvidence, verifiedBy, doubtedEvidence }: ShownReplica) =>
  [
    ...(verifiedBy === null ? [] : [`${verifiedEvidence ?? 'unknown'}: ${verifiedBy}`]),
    ...(doubtedEvidence === null ? [] : [`contradicted by: ${doubtedEvidence}`]),
  ].join('; ')

function comparisons(file: ShownFile): string {
  if (file.digestsCompared.length === 0) return 'nothing to compare with'
  return file.digestsCompared
    .map(({ by, algorithm, agrees }) => `${algorithm} stated by ${by}: ${agrees ? 'agrees' : 'DISAGREES'}`)
    .join(', ')
}

const parametersOf = ({ parameters }: ShownRun) =>
  Object.entries(parameters)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, typeof value === 'string' ? oneLine(value) : value] as const)

/** The words of the pages; a word that this version does not know stays as it is. */
const textOf = (texts: Readonly<Record<string, string>>) => (word: string) => texts[word] ?? word
const storeText = textOf(STORE_TEXTS)
const tapeText = textOf(TAPE_TEXTS)

/** Replaces control characters: free text must not move the cursor of a terminal. */
const oneLine = (text: string) => text.replace(/\p{Cc}+/gu, ' ')

function shortened(description: string | null): string {
  const text = oneLine(description ?? '').trim()
  return text.length > LONGEST_DESCRIPTION ? `${text.slice(0, LONGEST_DESCRIPTION - 1)}…` : text
}
