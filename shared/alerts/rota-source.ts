/** Reads the rota of CYGNET_ROTA_URL now and then, and keeps the last good one while its source fails. */
import type { Context } from '../context.ts'
import { CygnetError, InvalidInputError, TransientError } from '../errors.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { alert, resolved } from '../work/raise-alert.ts'
import { NOBODY, type OnShift, onShift, type Rota, readRota } from './rota.ts'

/** A change of the rota counts after so long. */
const FRESH_MS = 5 * 60_000
const RETRY_MS = 60_000
const FETCH_MS = 10_000
const MOST_BYTES = 10_000_000
/** How long a rota serves whose source fails. */
const KNOWN_AHEAD_MS = 31 * 86_400_000
const DAY_MS = 86_400_000

/**
 * Creates a function that states who is on shift now; nobody where no rota is configured, or none was ever read. It
 * never throws for a source that fails: that is an alert, which ends when the source works again.
 */
export function createRota(context: Context<'database'>): (signal: AbortSignal) => Promise<OnShift> {
  const { config, database, now } = context
  const url = config.alerts.rota
  let rota: (Rota & { readonly readAt: Date }) | null = null
  let dueMs = 0
  let failingSince: Date | null = null

  const refresh = async (address: string, signal: AbortSignal): Promise<void> => {
    const at = now()
    let problem: string | null
    try {
      const text = await fetchCalendar(address, signal)
      const to = new Date(at.getTime() + KNOWN_AHEAD_MS)
      rota = { ...readRota(text, new Date(at.getTime() - DAY_MS), to), readAt: at }
      const { problems } = rota
      problem = problems.length === 0 ? null : `is not complete: ${problems.join('; ')}`
    } catch (error) {
      signal.throwIfAborted()
      const used =
        rota === null
          ? 'nobody is known to be on shift'
          : `the rota of ${rota.readAt.toISOString()}, ${ageText(at.getTime() - rota.readAt.getTime())} ago, is used`
      const reason = error instanceof CygnetError ? error.message : 'an error of Cygnet'
      problem = `cannot be read: ${reason}; ${used}`
    }
    dueMs = at.getTime() + (problem === null ? FRESH_MS : RETRY_MS)
    failingSince = problem === null ? null : (failingSince ?? at)
    const requests =
      problem === null ? await endOfFailure(context) : [failure(problem, failingSince ?? at, at)]
    await addRequests(database, requests, at)
  }

  return async (signal) => {
    if (url === undefined) return NOBODY
    if (now().getTime() >= dueMs) await refresh(url, signal)
    return rota === null ? NOBODY : onShift(rota.shifts, now())
  }
}

const RULE = { rule: 'rota-fails', severity: 'warning' } as const

/** Counts once an hour. */
const failure = (problem: string, since: Date, at: Date): Request =>
  alert({
    ...RULE,
    summary: `the rota (CYGNET_ROTA_URL) ${problem}`,
    cause: `${since.toISOString()}:${at.toISOString().slice(0, 13)}`,
  })

/** Another process may have raised the alert. */
async function endOfFailure({ database }: Context<'database'>): Promise<readonly Request[]> {
  const open = await database
    .selectFrom('alerts')
    .select('id')
    .where('rule', '=', RULE.rule)
    .where('resolvedAt', 'is', null)
    .executeTakeFirst()
  return open === undefined ? [] : [resolved({ ...RULE, summary: 'the rota can be read again' })]
}

function ageText(ms: number): string {
  const minutes = Math.round(ms / 60_000)
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`
}

/**
 * The text of the calendar.
 * @throws TransientError, InvalidInputError, neither with the address, which often contains a secret.
 */
async function fetchCalendar(url: string, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.timeout(FETCH_MS)
  try {
    const answer = await fetch(url.replace(/^webcal:/, 'https:'), {
      signal: AbortSignal.any([signal, limit]),
    })
    if (!answer.ok) throw new TransientError(`its server answers with status ${answer.status}`)
    return await textOf(answer)
  } catch (error) {
    if (error instanceof CygnetError) throw error
    if (limit.aborted) throw new TransientError(`its server does not answer within ${FETCH_MS / 1000} s`)
    const { code } = ((error as Error).cause ?? {}) as { readonly code?: string }
    throw new TransientError(`its server cannot be reached (${code ?? (error as Error).name})`)
  }
}

async function textOf({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of body ?? []) {
    sizeBytes += part.length
    if (sizeBytes > MOST_BYTES)
      throw new InvalidInputError(`it has more than ${MOST_BYTES / 1_000_000} MB, which no rota has`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}
