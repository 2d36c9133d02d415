/** `cygnet recall`: bring a run back from tape into the store, for a while. */
import { hostname, userInfo } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import type { Replica } from '../../shared/catalogue/replica-schema.ts'
import type { RequestedRecall } from '../../shared/replicas/recall/request.ts'
import type { StorageContext } from '../../shared/runtime/context.ts'
import { bytes, print, printJson, table, tell, time } from '../output.ts'
import { withContext } from '../settings.ts'
import { parseRunNumber } from './runs.ts'

interface Flags {
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
Exit codes: 0 every file is in the store, 3 on its way, 1 refused or failed (the reason is printed).`

/** Some file is not in the store yet. */
export const ON_ITS_WAY = 3
const LOOK_AGAIN_MS = 2000

export function register(program: Command): void {
  program
    .command('recall')
    .description('bring a run back from tape into the store, and keep it there for some days')
    .argument('<run>', 'run number', parseRunNumber)
    .option('--tag <tag>', 'when several tags have a run of this number')
    .option('--days <days>', 'how long it stays (default: CYGNET_RECALL_DAYS)', parseCount)
    .option('--wait', 'wait until it is there, or has failed')
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (runNumber: number, flags: Flags) => {
      await withContext(async (context, signal) => {
        const { requestRecall } = await import('../../shared/replicas/recall/request.ts')
        const wish = { days: flags.days ?? context.config.CYGNET_RECALL_DAYS, requestedBy: whoAsks() }
        const asked = await requestRecall(context, { runNumber, tag: flags.tag }, wish, context.now(), signal)
        const files = flags.wait === true ? await waitFor(context, asked, signal) : await look(context, asked)
        if (flags.json === true) printJson({ ...asked.run, files: files.map(fileJson) })
        else print(filesTable(files))
        process.exitCode = exitCode(files)
        if (process.exitCode === ON_ITS_WAY && flags.json !== true)
          tell(`The functions go on with it; \`cygnet link ${runNumber} --tag ${asked.run.tag}\` gives links when it is there.`)
      })
    })
}

/** A person, for the history of the run. */
export const whoAsks = () => `${userInfo().username}@${hostname()}`

export function parseCount(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 is expected.')
  return value
}

async function look({ database }: StorageContext, asked: RequestedRecall): Promise<readonly Replica[]> {
  const ids = asked.files.map((file) => file.replicaId)
  const rows = await database.selectFrom('replicas').selectAll().where('id', 'in', ids).execute()
  return ids.flatMap((id) => rows.filter((row) => row.id === id))
}

async function waitFor(context: StorageContext, asked: RequestedRecall, signal: AbortSignal): Promise<readonly Replica[]> {
  const { pause } = await import('../../shared/runtime/waiting.ts')
  const told = new Map<number, string>()
  for (;;) {
    const files = await look(context, asked)
    for (const file of files) {
      const now = stateLine(file)
      if (told.get(file.id) !== now) tell(`${file.object_key}: ${now}`)
      told.set(file.id, now)
    }
    if (signal.aborted || exitCode(files) !== ON_ITS_WAY) return files
    await pause(LOOK_AGAIN_MS, signal)
  }
}

const givenUp = (file: Replica) =>
  file.state !== 'present' && file.next_attempt_at === null && !['requested', 'staging', 'copying'].includes(file.state)

function exitCode(files: readonly Replica[]): number {
  if (files.some(givenUp)) return 1
  return files.every((file) => file.state === 'present') ? 0 : ON_ITS_WAY
}

function stateLine(file: Replica): string {
  const again = file.state === 'failed' && file.next_attempt_at !== null ? `, tried again at ${time(file.next_attempt_at)} UTC` : ''
  const detail = file.last_error === null ? '' : `: ${file.last_error}`
  return `${file.state}${again}${detail}`
}

const filesTable = (files: readonly Replica[]) =>
  table(
    ['file', 'size', 'state', 'stays until (UTC)'],
    files.map((file) => [
      `${file.bucket}/${file.object_key}`,
      bytes(file.size_bytes),
      stateLine(file),
      file.state === 'present' ? time(file.expires_at) : null,
    ]),
  )

const fileJson = (file: Replica) => ({
  bucket: file.bucket,
  key: file.object_key,
  sizeBytes: file.size_bytes,
  md5: file.md5,
  state: file.state,
  requestedAt: file.requested_at,
  expiresAt: file.expires_at,
  verifiedAt: file.verified_at,
  verifiedBy: file.verified_by,
  attempts: file.attempts,
  nextAttemptAt: file.next_attempt_at,
  lastError: file.last_error,
})
