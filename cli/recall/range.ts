/** Recalls all runs of a range: the plan, a question, the request, and how far it is. */
import * as z from 'zod'
import { InvalidInputError } from '../../shared/errors.ts'
import { pause } from '../../shared/time/pause.ts'
import type { ApiClient } from '../api/client.ts'
import { duringWait } from '../api/during-wait.ts'
import { requestJson } from '../api/request-json.ts'
import type { RunRange } from '../arguments.ts'
import { isConfirmed } from '../confirm.ts'
import { bytes, print, printJson, printToStderr, table } from '../output.ts'
import { namesIn } from '../runs/api-runs.ts'
import { checkOneTag } from '../runs/one-tag.ts'

interface RangeFlags {
  readonly tag?: string
  readonly days?: number
  readonly exceed?: boolean
  readonly yes?: boolean
  readonly wait?: boolean
  readonly json?: boolean
}

const some = z.object({ files: z.int(), sizeBytes: z.int() })
const recalls = z.object({
  runs: z.int(),
  inStore: some,
  recalling: some,
  onTape: some,
  unavailable: some,
  failed: some,
  refusal: z.string().nullable(),
  files: z.array(
    z.object({
      tag: z.string(),
      runNumber: z.int(),
      key: z.string(),
      sizeBytes: z.int(),
      state: z.enum(['in-store', 'recalling', 'on-tape', 'unavailable', 'failed']),
      reason: z.string().nullable(),
    }),
  ),
})
type Recalls = z.output<typeof recalls>

const IN_STORE = 0
const FAILED = 1
const IN_PROGRESS = 3
const POLL_MS = 5000
/** Most files that the API requests at once. */
const MOST_FILES = 200

/**
 * @returns the exit code.
 * @throws InvalidInputError when the range has no runs, or the API refuses.
 */
export async function recallRange(
  api: ApiClient,
  range: RunRange,
  { tag, days, exceed, yes, wait, json }: RangeFlags,
  signal: AbortSignal,
): Promise<number> {
  const site = tag ?? (await tagOf(api, range, signal))
  const ask = (part: RunRange, dryRun: boolean) =>
    requestJson(api, '/api/v1/recalls', recalls, signal, {
      range: { tag: site, from: part.from, to: part.to },
      dryRun,
      ...(dryRun ? { exceed } : { days, exceed }),
    })
  const plan = await ask(range, true)
  if (json !== true) print(planText(plan, site, range))
  if (plan.refusal !== null) throw new InvalidInputError(plan.refusal)
  if (yes !== true && !(await isConfirmed())) {
    if (json === true) printJson(plan)
    else print('nothing was requested: add --yes')
    return FAILED
  }
  const checkOnce = async () => await ask(range, true)
  const check = wait === true ? async () => await duringWait(checkOnce, POLL_MS, signal) : checkOnce
  for (const part of partsOf(plan)) await ask(part, false)
  let now = await check()
  const shown = new Map<string, string>()
  while (wait === true) {
    for (const [run, state] of statesByRun(now)) {
      if (shown.get(run) !== state) printToStderr(`${run}: ${state}`)
      shown.set(run, state)
    }
    if (signal.aborted || now.recalling.files === 0) break
    await pause(POLL_MS, signal)
    now = await check()
  }
  if (json === true) printJson(now)
  else print(filesTable(now))
  return exitCode(now)
}

async function tagOf(api: ApiClient, range: RunRange, signal: AbortSignal): Promise<string> {
  const runs = await namesIn(api, { ...range, tag: undefined }, signal)
  checkOneTag(runs, `are runs from ${range.from} to ${range.to}`)
  const [first] = runs
  if (first === undefined)
    throw new InvalidInputError(`the catalogue has no runs from ${range.from} to ${range.to}`)
  return first.tag
}

const exitCode = ({ recalling, onTape, unavailable, failed }: Recalls) =>
  onTape.files + unavailable.files + failed.files > 0 ? FAILED : recalling.files > 0 ? IN_PROGRESS : IN_STORE

/** Ranges of at most as many files as one request may name, or of one run; without those that cannot come. */
function partsOf({ files }: Recalls): readonly RunRange[] {
  const parts: Recalls['files'][] = []
  for (const own of Map.groupBy(files, ({ runNumber }) => runNumber).values()) {
    const last = parts.at(-1)
    if (last === undefined || last.length + own.length > MOST_FILES) parts.push(own)
    else last.push(...own)
  }
  return parts.flatMap((part) => {
    const [first, last] = [part[0], part.at(-1)]
    if (first === undefined || last === undefined || part.every(isLeftOut)) return []
    return [{ from: first.runNumber, to: last.runNumber }]
  })
}

const isLeftOut = ({ state }: Recalls['files'][number]) => state === 'unavailable' || state === 'failed'

function planText(plan: Recalls, tag: string, { from, to }: RunRange): string {
  const row = (what: string, of: Recalls['onTape']) => [what, of.files, bytes(of.sizeBytes)]
  const left = plan.files.filter(isLeftOut)
  return [
    table(
      [`${plan.runs} runs of ${tag} from ${from} to ${to}`, 'files', 'bytes'],
      [
        row('to be fetched from tape', plan.onTape),
        row('already in the store: kept there', plan.inStore),
        row('being recalled', plan.recalling),
        row('not on tape: left out', plan.unavailable),
        row('recalled before and failed: left out', plan.failed),
      ],
    ),
    ...left.map(({ key, reason }) => `${key}: ${reason}`),
  ].join('\n')
}

/** `2 of 3 files in the store`, with what failed. */
function statesByRun({ files }: Recalls): readonly (readonly [string, string])[] {
  return [...Map.groupBy(files, ({ tag, runNumber }) => `run ${runNumber} of ${tag}`)].map(([run, own]) => {
    const there = own.filter(({ state }) => state === 'in-store').length
    const reasons = own.flatMap(({ state, reason }) =>
      state === 'in-store' || reason === null ? [] : [reason],
    )
    return [run, [`${there} of ${own.length} files in the store`, ...new Set(reasons)].join('; ')]
  })
}

const filesTable = ({ files }: Recalls) =>
  table(
    ['run', 'file', 'size', 'state'],
    files.map(({ runNumber, key, sizeBytes, state, reason }) => [
      runNumber,
      key,
      bytes(sizeBytes),
      reason === null ? state : `${state}: ${reason}`,
    ]),
  )
