/**
 * Dark copies: files that a place holds and the catalogue does not know; and the reverse, copies that the
 * catalogue has in the store and that are not listed there. Found page by page, reported once a day; a dark
 * copy is never deleted.
 */
import type { Context } from '../../../context.ts'
import { InvalidInputError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { raiseDaily, resolveRaised } from '../../../work/raised-alerts.ts'
import { sendRequests } from '../../../work/send-requests.ts'
import {
  addToSummary,
  NOTHING_VERIFIED,
  type Verification,
  type VerifySummary,
  verifyReplica,
} from '../verify.ts'
import { compareBucket } from './bucket.ts'
import { noteDark, noteDarkPass, resolveDark } from './rows.ts'
import { compareTape } from './tape.ts'

/** A raw bucket, or the configured tape endpoint. */
export type DarkPlace = { readonly bucket: string } | { readonly tape: true }

export interface DarkReport {
  readonly endpoint: string
  readonly listed: number
  readonly dark: number
  readonly darkBytes: number
  readonly examples: readonly string[]
  /** Dark in an earlier search, not in this one. */
  readonly resolved: number
  /** Copies that were not listed, each verified now. */
  readonly unlisted: VerifySummary
}

export interface DarkOptions {
  readonly secondCheckMs?: number
  readonly onUnlisted?: (result: Verification) => void
}

const EXAMPLES = 5
/**
 * If more copies than this are not listed, the cause is the store; the rest is left to the next search or the
 * scrub.
 */
const MOST_VERIFIED = 1000

/**
 * Searches a place. Null where the tape endpoint cannot list its files, or none is configured.
 * @throws the signal's reason when it aborts, after recording what was found until then; what the place
 * throws.
 */
export async function findDark(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  place: DarkPlace,
  options: DarkOptions,
  signal: AbortSignal,
  log: Logger,
): Promise<DarkReport | null> {
  const { database } = context
  const endpoint = darkEndpoint(context, place)
  if (endpoint === null) return null
  const begunAt = context.now()
  const report = {
    endpoint,
    listed: 0,
    dark: 0,
    darkBytes: 0,
    examples: [] as string[],
    resolved: 0,
    unlisted: NOTHING_VERIFIED,
  }
  for await (const page of pagesOf(context, place, signal)) {
    signal.throwIfAborted()
    await noteDark(database, endpoint, page.dark, context.now())
    report.listed += page.listed
    report.dark += page.dark.length
    report.darkBytes += page.dark.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    report.examples.push(...page.dark.slice(0, EXAMPLES - report.examples.length).map(({ name }) => name))
    for (const id of page.unlisted.slice(0, MOST_VERIFIED - report.unlisted.checked)) {
      const result = await verifyReplica(context, id, { readBack: 'never', ...options }, signal, log)
      if (result === null) continue
      report.unlisted = addToSummary(report.unlisted, result)
      options.onUnlisted?.(result)
    }
  }
  const at = context.now()
  report.resolved = await resolveDark(database, endpoint, begunAt, at)
  await noteDarkPass(database, endpoint, { begunAt, at, listed: report.listed, finished: true })
  if (report.dark > 0) await alertDark(context, place, report, at, signal)
  else {
    const summary = `${endpoint} holds no file that the catalogue does not know`
    const ended = [{ rule: 'dark-copies', subject: endpoint, summary }] as const
    await sendRequests(context, await resolveRaised(database, ended, at), signal)
  }
  log[report.dark > 0 ? 'warn' : 'info']({ ...report, ms: at.getTime() - begunAt.getTime() }, 'dark-copies')
  return report
}

/**
 * The name of the place in the catalogue; null where it cannot be searched.
 * @throws InvalidInputError for a bucket without runs.
 */
export function darkEndpoint({ config, tape }: Context<'tape'>, place: DarkPlace): string | null {
  if ('tape' in place) return tape?.list === undefined ? null : tape.endpoint
  if (!config.store.rawBuckets.includes(place.bucket))
    throw new InvalidInputError(
      `${place.bucket} is not among the buckets whose runs are catalogued (CYGNET_RAW_BUCKETS)`,
    )
  return `s3://${place.bucket}`
}

interface Page {
  readonly listed: number
  readonly dark: readonly { readonly name: string; readonly sizeBytes: number }[]
  readonly unlisted: readonly number[]
}

async function* pagesOf(
  context: Context<'database' | 's3' | 'tape'>,
  place: DarkPlace,
  signal: AbortSignal,
): AsyncGenerator<Page> {
  if ('bucket' in place) {
    for await (const { listed, dark, unlisted } of compareBucket(context, place.bucket, signal))
      yield { listed, dark: dark.map(({ key, sizeBytes }) => ({ name: key, sizeBytes })), unlisted }
    return
  }
  const { tape } = context
  if (tape?.list === undefined) return
  for await (const page of compareTape(context, tape.endpoint, tape.list('', signal)))
    yield { ...page, unlisted: [] }
}

/** Counted once for each place and day. */
async function alertDark(
  context: Context<'database' | 'queues'>,
  place: DarkPlace,
  { endpoint, dark, darkBytes, examples }: Pick<DarkReport, 'endpoint' | 'dark' | 'darkBytes' | 'examples'>,
  at: Date,
  signal: AbortSignal,
): Promise<void> {
  const [many, more] = [dark === 1 ? '1 file' : `${dark} files`, dark > examples.length ? ', …' : '']
  const next =
    'bucket' in place
      ? '`cygnet reconcile` catalogues those that are runs'
      : 'another program may have put them there'
  const found = {
    rule: 'dark-copies',
    severity: 'warning',
    subject: endpoint,
    summary: `${endpoint} holds ${many} (${darkBytes} bytes) unknown to the catalogue: ${examples.join(', ')}${more}. They are not changed; ${next}`,
    facts: { files: dark, sizeBytes: darkBytes },
  } as const
  await sendRequests(context, [await raiseDaily(context.database, found, at)], signal)
}
