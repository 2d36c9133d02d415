/** Runs as the CLI shows them: for people, and as JSON. */
import type { RunDetails } from '../shared/catalogue/queries.ts'
import type { Replica } from '../shared/catalogue/replica-schema.ts'
import { fileView, replicaView } from '../shared/catalogue/run-view.ts'
import type { Run, RunFile } from '../shared/catalogue/schema.ts'
import { bytes, list, table, time } from './output.ts'

export function runTable(runs: readonly Run[]): string {
  return table(
    ['run', 'tag', 'started (UTC)', 'events', 'size', 'files', 'complete', 'checksums', 'problem'],
    runs.map((run) => [
      run.run_number,
      run.tag,
      time(run.started_at),
      run.event_count,
      bytes(run.size_bytes),
      run.file_count,
      run.complete === 1 ? 'yes' : 'no',
      run.integrity,
      run.problem ?? '',
    ]),
  )
}

export function runJson(run: Run) {
  return {
    runNumber: run.run_number,
    tag: run.tag,
    startedAt: run.started_at,
    stoppedAt: run.stopped_at,
    complete: run.complete === 1,
    problem: run.problem,
    integrity: run.integrity,
    eventCount: run.event_count,
    sizeBytes: run.size_bytes,
    fileCount: run.file_count,
    pedestal: run.pedestal === null ? null : run.pedestal === 1,
    description: run.description,
    current: run.is_current === 1,
    cataloguedAt: run.catalogued_at,
    updatedAt: run.updated_at,
  }
}

export function detailsJson({ run, files, replicas, ...more }: RunDetails) {
  return { ...runJson(run), parameters: run.parameters, files: files.map(fileView), replicas: replicas.map(replicaView), ...more }
}

export function detailsText({ run, files, banks, events, requests, replicas, storage, history }: RunDetails): string {
  const section = (title: string, body: string) => (body === '' ? '' : `\n\n${title}\n${body}`)
  return [
    list([
      ['run', `${run.run_number} of ${run.tag}${run.is_current === 1 ? '' : ' (an earlier use of the number)'}`],
      ['description', run.description],
      ['started (UTC)', time(run.started_at)],
      ['stopped (UTC)', time(run.stopped_at)],
      ['complete', run.complete === 1 ? 'yes' : 'no'],
      ['problem', run.problem],
      ['checksums', run.integrity],
      ['events', run.event_count],
      ['in the store', storage.cloud],
      ['on tape', storage.tape === 'on-media' ? 'verified' : storage.tape],
      ['size', `${bytes(run.size_bytes)} in ${run.file_count} ${run.file_count === 1 ? 'file' : 'files'}`],
    ]),
    ...files.map((file) =>
      section(
        `${file.is_live === 1 ? 'file' : 'replaced file'} ${file.bucket}/${file.object_key}`,
        list([
          ['size', `${file.size_bytes} B (${bytes(file.uncompressed_bytes)} of MIDAS events, ${file.compression})`],
          ['md5', file.md5],
          ['sha256', file.sha256],
          ['adler32', file.adler32],
          ['compared', comparisons(file)],
          ['problem', file.problem === null ? null : `${file.problem} (offset ${file.problem_offset ?? '-'})`],
          ['warnings', file.warnings.map((warning) => warning.message).join('; ') || null],
          ['camera', cameraText(file.camera)],
          ['stored', time(file.last_modified)],
          ['catalogued', time(file.catalogued_at)],
        ]),
      ),
    ),
    section('copies', replicas.length === 0 ? '' : replicaTable(replicas)),
    section(
      'events',
      events.length === 0
        ? ''
        : table(
            ['event id', 'events', 'serial gaps'],
            events.map((row) => [row.eventId, row.events, row.serialGaps]),
          ),
    ),
    section(
      'banks',
      banks.length === 0
        ? ''
        : table(
            ['bank', 'count', 'size'],
            banks.map((row) => [row.bank, row.count, bytes(row.bytes)]),
          ),
    ),
    section('parameters', list(Object.entries(run.parameters).filter(([name, value]) => value !== null && !name.startsWith('storage_')))),
    section(
      'requests',
      requests.length === 0
        ? ''
        : table(
            ['queue', 'made', 'sent', 'name'],
            requests.map((row) => [row.queue, time(row.createdAt), time(row.sentAt), row.name]),
          ),
    ),
    section(
      'history',
      history.length === 0
        ? ''
        : table(
            ['at (UTC)', 'what', 'detail'],
            history.map((row) => [time(row.at), row.what, row.detail]),
          ),
    ),
  ].join('')
}

function replicaTable(replicas: readonly Replica[]): string {
  return table(
    ['where', 'state', 'verified (UTC)', 'how', 'address', 'error'],
    replicas.map((replica) => [
      replica.kind,
      replica.state,
      time(replica.verified_at),
      replica.verified_by ?? '',
      replica.url,
      replica.last_error ?? '',
    ]),
  )
}

function comparisons(file: RunFile): string {
  if (file.digests_compared.length === 0) return 'nothing to compare with'
  return file.digests_compared
    .map(({ by, algorithm, agrees }) => `${algorithm} stated by ${by}: ${agrees ? 'agrees' : 'DISAGREES'}`)
    .join(', ')
}

function cameraText(camera: RunFile['camera']): string | null {
  return camera === null ? null : `${camera.model}, ${camera.width} × ${camera.height}`
}
