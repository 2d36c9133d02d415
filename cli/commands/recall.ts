/** `cygnet recall`: bring a run back from tape into the store, for a while. */

import type { Command } from 'commander'
import * as z from 'zod'
import { RECALLING } from '../../shared/catalogue/replica-states.ts'
import type { RunId } from '../../shared/run.ts'
import { askJson } from '../api/answer.ts'
import { type ApiClient, apiClient } from '../api/client.ts'
import { API_HELP, apiOption } from '../api/option.ts'
import { parseRunNumber, tagOption, wholeNumber } from '../arguments.ts'
import { bytes, print, printJson, table, tell, time } from '../output.ts'
import { findRunName, pathOfRun } from '../runs/api-runs.ts'
import { type ShownReplica, shownRun } from '../runs/run-shapes.ts'
import { interruption } from '../settings.ts'

interface Flags {
  readonly api?: string
  readonly tag?: string
  readonly days?: number
  readonly wait?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  cygnet recall 12345                        all files of run 12345, for CYGNET_RECALL_DAYS days
  cygnet recall 12345 --tag LNGS --days 30   asked again, it stays longer; never shorter
  cygnet recall 12345 --wait && curl -OJ $(cygnet link 12345)

The files come back under their old keys, compared with the catalogue's checksums; nothing that is in the store is overwritten.
A run that is in the store already is kept there for so long. When the time is over, the cleaner may delete it again.
${API_HELP}

Exit codes: 0 every file is in the store, 3 on its way, 1 refused or failed (the reason is printed).`

/** Some file is not in the store yet. */
export const ON_ITS_WAY = 3
const LOOK_AGAIN_MS = 2000

export function register(program: Command): void {
  program
    .command('recall')
    .description('bring a run back from tape into the store, and keep it there for some days')
    .argument('<run>', 'run number', parseRunNumber)
    .addOption(tagOption())
    .option('--days <days>', 'how long it stays (default: CYGNET_RECALL_DAYS)', wholeNumber(1))
    .option('--wait', 'wait until it is there, or has failed')
    .option('--json', 'one JSON object')
    .addOption(apiOption())
    .addHelpText('after', EXAMPLES)
    .action(async (runNumber: number, { api, tag, days, wait, json }: Flags) => {
      const signal = interruption()
      const asked = await requestRecall(apiClient(api), { runNumber, tag, days }, signal)
      const files = wait === true ? await waitFor(asked, signal) : await asked.look(signal)
      if (json === true) printJson({ ...asked.run, files: files.map(fileJson) })
      else print(filesTable(files))
      process.exitCode = exitCode(files)
      if (process.exitCode === ON_ITS_WAY && json !== true)
        tell(
          `The functions go on with it; \`cygnet link ${runNumber} --tag ${asked.run.tag}\` gives links when it is there.`,
        )
    })
}

const askedSchema = z.object({ files: z.array(z.object({ bucket: z.string(), key: z.string() })) })

interface AskedRecall {
  readonly run: RunId
  /** How far each file is now. */
  look(signal: AbortSignal): Promise<readonly ShownReplica[]>
}

/**
 * Asks for a run to be brought back.
 * @param wish `days`: how long it is to stay; undefined for what the service is set to.
 * @throws InvalidInputError when there is no such run, several tags have it, the caller may not, or a file of
 * it can be had nowhere.
 */
async function requestRecall(
  api: ApiClient,
  wish: { readonly runNumber: number; readonly tag: string | undefined; readonly days: number | undefined },
  signal: AbortSignal,
): Promise<AskedRecall> {
  const { runNumber, days } = wish
  const run = await findRunName(api, runNumber, wish.tag, signal)
  const path = pathOfRun(run)
  const body = days === undefined ? {} : { days }
  const asked = await askJson(api, `${path}/recall`, askedSchema, signal, body)
  return {
    run,
    async look(during) {
      const { files, replicas } = await askJson(api, path, shownRun, during)
      return asked.files.flatMap(({ bucket, key }) => {
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

async function waitFor(asked: AskedRecall, signal: AbortSignal): Promise<readonly ShownReplica[]> {
  const { pause } = await import('../../shared/time/pause.ts')
  const told = new Map<string, string>()
  for (;;) {
    const files = await asked.look(signal)
    for (const file of files) {
      const now = stateLine(file)
      if (told.get(file.key) !== now) tell(`${file.key}: ${now}`)
      told.set(file.key, now)
    }
    if (signal.aborted || exitCode(files) !== ON_ITS_WAY) return files
    await pause(LOOK_AGAIN_MS, signal)
  }
}

const givenUp = (file: ShownReplica) =>
  file.state !== 'present' && file.nextAttemptAt === null && !RECALLING.some((state) => state === file.state)

function exitCode(files: readonly ShownReplica[]): number {
  if (files.some(givenUp)) return 1
  return files.every((file) => file.state === 'present') ? 0 : ON_ITS_WAY
}

function stateLine(file: ShownReplica): string {
  const again =
    file.state === 'failed' && file.nextAttemptAt !== null
      ? `, tried again at ${time(file.nextAttemptAt)} UTC`
      : ''
  const detail = file.lastError === null ? '' : `: ${file.lastError}`
  return `${file.state}${again}${detail}`
}

const filesTable = (files: readonly ShownReplica[]) =>
  table(
    ['file', 'size', 'state', 'stays until (UTC)'],
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
