/** `cygnet recall`: brings runs back from tape into the store for some days. */
import { type Command, Option } from 'commander'
import * as z from 'zod'
import { RECALLING } from '../../shared/catalogue/replica-states.ts'
import type { RunId } from '../../shared/run.ts'
import { type ApiClient, apiClient } from '../api/client.ts'
import { API_HELP, apiOption } from '../api/option.ts'
import { requestJson } from '../api/request-json.ts'
import { parseRange, parseRunNumber, type RunRange, tagOption, wholeNumber } from '../arguments.ts'
import { bytes, print, printJson, printToStderr, table, time } from '../output.ts'
import { findRunName, pathOfRun } from '../runs/api-runs.ts'
import { type ShownReplica, shownRun } from '../runs/run-shapes.ts'
import { interruption } from '../settings.ts'

interface Flags {
  readonly api?: string
  readonly tag?: string
  readonly days?: number
  readonly range?: RunRange
  readonly exceed?: boolean
  readonly yes?: boolean
  readonly wait?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  cygnet recall 12345                        all files of run 12345, for CYGNET_RECALL_DAYS days
  cygnet recall 12345 --tag LNGS --days 30   a repeated request extends the time, and never shortens it
  cygnet recall --range 12000..12100 --tag LNGS   many runs: the plan, a question, and the request
  cygnet recall --range 12000..12100 --yes --wait the same without the question, until all are there
  cygnet recall 12345 --wait && curl -OJ $(cygnet link 12345)

The files are restored under their old keys and compared with the catalogue's checksums; objects in the store are not overwritten.
--wait goes on through outages of the API.
A run that is already in the store is kept there for that time. When the time is over, the cleaner may delete it again.
${API_HELP}

Of a range, files that are neither in the store nor on tape are left out. A repeated request shows how far it is. Operators may
exceed the limits of CYGNET_RECALL_BYTES_PER_DAY, CYGNET_RECALL_BYTES_PER_TAG and the capacity of the store with --exceed.

Exit codes: 0 every file is in the store, 3 in progress, 1 refused, failed, or a file of the range was left out (the reason is
printed).`

/** Exit code: a file is not in the store yet. */
export const RECALL_IN_PROGRESS = 3
const POLL_MS = 2000

export function register(program: Command): void {
  program
    .command('recall')
    .description('bring runs back from tape into the store, and keep them there for some days')
    .argument('[run]', 'run number', parseRunNumber)
    .addOption(
      new Option('--range <from..to>', 'all runs of the catalogue in this range').argParser(parseRange),
    )
    .addOption(tagOption())
    .option('--days <days>', 'how long it is kept (default: CYGNET_RECALL_DAYS)', wholeNumber(1))
    .option('--exceed', 'exceed the budgets and the room in the store; for operators')
    .option('--yes', 'with --range: request it without asking')
    .option('--wait', 'wait until the runs are in the store, or have failed')
    .option('--json', 'one JSON object')
    .addOption(apiOption())
    .addHelpText('after', EXAMPLES)
    .action(async (runNumber: number | undefined, flags: Flags, command: Command) => {
      const { api, range, tag, days, exceed, wait, json } = flags
      const signal = interruption()
      if ((runNumber === undefined) === (range === undefined))
        command.error('error: give a run number or --range', { exitCode: 2 })
      if (runNumber === undefined) {
        const { recallRange } = await import('../recall/range.ts')
        if (range !== undefined) process.exitCode = await recallRange(apiClient(api), range, flags, signal)
        return
      }
      const recall = await requestRecall(apiClient(api), { runNumber, tag, days, exceed }, signal)
      const files = wait === true ? await waitFor(recall, signal) : await recall.readFiles(signal)
      if (json === true) printJson({ ...recall.run, files: files.map(fileJson) })
      else print(filesTable(files))
      process.exitCode = exitCode(files)
      if (process.exitCode === RECALL_IN_PROGRESS && json !== true)
        printToStderr(
          `The recall goes on in the background; \`cygnet link ${runNumber} --tag ${recall.run.tag}\` prints the links when it is done.`,
        )
    })
}

const acceptedRecall = z.object({ files: z.array(z.object({ bucket: z.string(), key: z.string() })) })

interface RequestedRecall {
  readonly run: RunId
  /** The present state of each file. */
  readFiles(signal: AbortSignal): Promise<readonly ShownReplica[]>
}

/**
 * Requests the recall of a run.
 * @param request `days`: how long it is kept; undefined for the default of the service.
 * @throws InvalidInputError when there is no such run, several tags have it, the caller is not allowed, or a
 * file of it has no copy left.
 */
async function requestRecall(
  api: ApiClient,
  request: {
    readonly runNumber: number
    readonly tag: string | undefined
    readonly days: number | undefined
    readonly exceed: boolean | undefined
  },
  signal: AbortSignal,
): Promise<RequestedRecall> {
  const { runNumber, days, exceed } = request
  const run = await findRunName(api, runNumber, request.tag, signal)
  const path = pathOfRun(run)
  const recall = await requestJson(api, `${path}/recall`, acceptedRecall, signal, { days, exceed })
  return {
    run,
    async readFiles(during) {
      const { files, replicas } = await requestJson(api, path, shownRun, during)
      return recall.files.flatMap(({ bucket, key }) => {
        const file = files.find((each) => each.live && each.bucket === bucket && each.key === key)
        return replicas.filter(
          (copy) =>
            copy.kind === 'recall' &&
            copy.bucket === bucket &&
            copy.key === key &&
            copy.sha256 === file?.sha256,
        )
      })
    },
  }
}

async function waitFor(recall: RequestedRecall, signal: AbortSignal): Promise<readonly ShownReplica[]> {
  const [{ duringWait }, { pause }] = await Promise.all([
    import('../api/during-wait.ts'),
    import('../../shared/time/pause.ts'),
  ])
  const shown = new Map<string, string>()
  for (;;) {
    const files = await duringWait(() => recall.readFiles(signal), POLL_MS, signal)
    for (const file of files) {
      const now = stateLine(file)
      if (shown.get(file.key) !== now) printToStderr(`${file.key}: ${now}`)
      shown.set(file.key, now)
    }
    if (signal.aborted || exitCode(files) !== RECALL_IN_PROGRESS) return files
    await pause(POLL_MS, signal)
  }
}

const hasFailed = (file: ShownReplica) =>
  file.state !== 'present' && file.nextAttemptAt === null && !RECALLING.some((state) => state === file.state)

function exitCode(files: readonly ShownReplica[]): number {
  if (files.some(hasFailed)) return 1
  return files.every((file) => file.state === 'present') ? 0 : RECALL_IN_PROGRESS
}

function stateLine(file: ShownReplica): string {
  const again =
    file.state === 'failed' && file.nextAttemptAt !== null
      ? `, next attempt at ${time(file.nextAttemptAt)} UTC`
      : ''
  const detail = file.lastError === null ? '' : `: ${file.lastError}`
  return `${file.state}${again}${detail}`
}

const filesTable = (files: readonly ShownReplica[]) =>
  table(
    ['file', 'size', 'state', 'kept until (UTC)'],
    files.map((file) => [
      `${file.bucket}/${file.key}`,
      bytes(file.sizeBytes),
      stateLine(file),
      file.state === 'present' ? time(file.expiresAt) : null,
    ]),
  )

const fileJson = (file: ShownReplica) => ({
  bucket: file.bucket,
  key: file.key,
  sizeBytes: file.sizeBytes,
  md5: file.md5,
  state: file.state,
  requestedAt: file.requestedAt,
  expiresAt: file.expiresAt,
  verifiedAt: file.verifiedAt,
  verifiedBy: file.verifiedBy,
  attempts: file.attempts,
  nextAttemptAt: file.nextAttemptAt,
  lastError: file.lastError,
})
