/** `cygnet runs`: what the catalogue knows. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Database } from '../../shared/catalogue/database.ts'
import { describeRun, findArrivalsOfRun, findRuns, listRuns, type RunDetails } from '../../shared/catalogue/queries.ts'
import type { Run, RunFile } from '../../shared/catalogue/schema.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { bytes, list, print, printJson, table, time } from '../output.ts'
import { withContext } from '../settings.ts'

export function register(program: Command): void {
  const runs = program.command('runs').description('what the catalogue knows of runs')
  runs
    .command('ls')
    .description('list runs, the highest numbers first')
    .option('--tag <tag>', 'only this tag, e.g. LNGS')
    .option('--range <from..to>', 'only run numbers in this range, both ends included', parseRange)
    .option('--incomplete', 'only runs that are not complete')
    .option('--pedestal', 'only pedestal runs')
    .addOption(new Option('--limit <count>', 'at most this many').default(50).argParser(parseRunNumber))
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample: cygnet runs ls --tag LNGS --range 12000..12100')
    .action(async (options) => {
      const found = await withContext((context) => listRuns(context.database, { ...options, ...options.range }))
      if (options.json === true) for (const run of found) print(JSON.stringify(runJson(run)))
      else print(found.length === 0 ? 'no runs' : runTable(found))
    })
  runs
    .command('show')
    .description('everything about one run: parameters, files, checksums, requests, history')
    .argument('<run>', 'run number', parseRunNumber)
    .option('--tag <tag>', 'when several tags have a run of this number')
    .option('--all', 'also earlier uses of the same run number')
    .option('--json', 'one JSON object')
    .action(async (runNumber: number, options: { tag?: string; all?: boolean; json?: boolean }) => {
      await withContext(async ({ database }) => {
        const uses = await findRuns(database, { runNumber, tag: options.tag })
        const chosen = options.all === true ? uses : uses.filter((run) => run.is_current === 1)
        if (chosen.length === 0) throw await notCatalogued(database, { runNumber, tag: options.tag })
        const details = await Promise.all(chosen.map((run) => describeRun(database, run)))
        if (options.json === true) printJson(details.length === 1 ? detailsJson(details[0] as RunDetails) : details.map(detailsJson))
        else print(details.map(detailsText).join('\n\n'))
        if (options.json !== true && options.all !== true && uses.length > chosen.length)
          print(`\nThis number was used ${uses.length} times; --all shows the others too.`)
      })
    })
}

/** Says what the ledger knows of a run that is not in the catalogue, and what to do. */
async function notCatalogued(
  database: Database,
  run: { readonly runNumber: number; readonly tag: string | undefined },
): Promise<InvalidInputError> {
  const arrivals = await findArrivalsOfRun(database, run)
  const named = `run ${run.runNumber}${run.tag === undefined ? '' : ` of ${run.tag}`} is not in the catalogue`
  if (arrivals.length === 0)
    return new InvalidInputError(
      `${named}, and the ledger has never heard of it; \`cygnet reconcile\` looks for it in the store, docs/runbook.md says where else`,
    )
  const lines = arrivals.map((arrival) => {
    const tries = arrival.attempts === 1 ? '1 try' : `${arrival.attempts} tries`
    return `  ${arrival.bucket}/${arrival.object_key}: ${arrival.state} since ${time(arrival.finished_at ?? arrival.received_at)} UTC after ${tries}${arrival.reason === null ? '' : `: ${arrival.reason}`}`
  })
  return new InvalidInputError(
    `${named}, but the ledger knows of it:\n${lines.join('\n')}\n\`cygnet logs --run ${run.runNumber}\` tells more, \`cygnet replay --run ${run.runNumber}\` tries again`,
  )
}

export function parseRunNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new InvalidArgumentError('a whole number is expected.')
  return value
}

function parseRange(text: string): { from: number; to: number } {
  const [from = '', to = '', ...more] = text.split('..')
  if (from === '' || to === '' || more.length > 0) throw new InvalidArgumentError('expected FROM..TO, e.g. 12000..12100.')
  return { from: parseRunNumber(from), to: parseRunNumber(to) }
}

function runTable(runs: readonly Run[]): string {
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

function runJson(run: Run) {
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

function fileJson(file: RunFile) {
  return {
    bucket: file.bucket,
    key: file.object_key,
    live: file.is_live === 1,
    subrun: file.subrun,
    etag: file.etag,
    versionId: file.version_id,
    lastModified: file.last_modified,
    compression: file.compression,
    sizeBytes: file.size_bytes,
    uncompressedBytes: file.uncompressed_bytes,
    md5: file.md5,
    sha256: file.sha256,
    adler32: file.adler32,
    crc64nvme: file.crc64nvme,
    integrity: file.integrity,
    digestsCompared: file.digests_compared,
    complete: file.complete === 1,
    problem: file.problem,
    problemCode: file.problem_code,
    problemOffset: file.problem_offset,
    warnings: file.warnings,
    eventCount: file.event_count,
    internalEvents: file.internal_events,
    camera: file.camera,
    digitizers: file.digitizers,
    cataloguedAt: file.catalogued_at,
    supersededAt: file.superseded_at,
  }
}

function detailsJson({ run, files, ...more }: RunDetails) {
  return { ...runJson(run), parameters: run.parameters, files: files.map(fileJson), ...more }
}

function detailsText({ run, files, banks, events, requests, history }: RunDetails): string {
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

function comparisons(file: RunFile): string {
  if (file.digests_compared.length === 0) return 'nothing to compare with'
  return file.digests_compared
    .map(({ by, algorithm, agrees }) => `${algorithm} stated by ${by}: ${agrees ? 'agrees' : 'DISAGREES'}`)
    .join(', ')
}

function cameraText(camera: RunFile['camera']): string | null {
  return camera === null ? null : `${camera.model}, ${camera.width} × ${camera.height}`
}
