/** Links that a caller requests: from the catalogue alone, or each checked in the store first. */
import { type Caller, mayDo } from '../../../shared/access/caller.ts'
import type { Right } from '../../../shared/access/rights.ts'
import type { Context } from '../../../shared/context.ts'
import { catalogueLinks } from '../../../shared/copies/links/catalogue-links.ts'
import { checkedLinks } from '../../../shared/copies/links/checked-links.ts'
import { type FileLink, type FoundFile, findFiles } from '../../../shared/copies/links/find-files.ts'
import { createConfirmLoss } from '../../../shared/copies/verify/confirm-loss.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { type ObjectName, parseRunKey, type RunId } from '../../../shared/run.ts'
import { audited } from '../access/audited.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext } from '../http/route.ts'
import { notFor } from './readable-tags.ts'
import { namesOfRuns } from './recall-rights.ts'

export interface LinksRequest {
  readonly runs: readonly RunId[]
  readonly files: readonly ObjectName[]
  readonly seconds: number
  readonly check: boolean
  readonly recall: boolean
}

type Unknown = { readonly why: string } & ({ readonly tag: string; readonly run: number } | ObjectName)

export interface FoundLinks {
  readonly files: readonly FileLink[]
  readonly unknown: readonly Unknown[]
}

/** Runs checked in the store at the same time. */
const AT_ONCE = 8

/** A recall needs a transaction and transfers hundreds of megabytes. */
const MOST_RECALLS = 100

const rightsFor = ({ recall }: Pick<LinksRequest, 'recall'>): readonly Right[] =>
  recall ? ['link', 'recall'] : ['link']

const mayObtain = (caller: Caller, request: Pick<LinksRequest, 'recall'>, tag: string): boolean =>
  rightsFor(request).every((right) => mayDo(caller, right, tag))

/**
 * @throws a 403 problem (401 for an anonymous caller) when the caller lacks the right for one of the tags,
 * whether or not the run exists.
 */
function checkRights(caller: Caller, request: Pick<LinksRequest, 'runs' | 'files' | 'recall'>): void {
  const tags = new Set([
    ...request.runs.map((run) => run.tag),
    ...request.files.flatMap(({ key }) => parseRunKey(key)?.tag ?? []),
  ])
  for (const right of rightsFor(request))
    for (const tag of tags)
      if (!mayDo(caller, right, tag))
        throw notFor(caller, right === 'link' ? `obtain links to runs of ${tag}` : `recall runs of ${tag}`)
}

export async function findLinks(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  c: ApiContext,
  request: LinksRequest,
  signal: AbortSignal,
): Promise<FoundLinks> {
  const caller = c.get('caller')
  checkRights(caller, request)
  if (request.recall && request.runs.length + request.files.length > MOST_RECALLS)
    throw refusal(400, `at most ${MOST_RECALLS} runs and files can be recalled at once`)
  if (!request.recall) return await linksFor(context, caller, request, signal)
  return await audited(
    context,
    c,
    'recall',
    namesOf(request),
    () => linksFor(context, caller, request, signal),
    recallOutcome,
  )
}

/** For the audit: what has neither a link nor a recall was refused. */
function recallOutcome(found: FoundLinks): string {
  const reasons = reasonsOf(found, ({ kind }) => kind !== 'link' && kind !== 'recalling')
  if (reasons.length === 0) return 'done'
  const obtained = found.files.filter(({ kind }) => kind === 'link' || kind === 'recalling').length
  const why = someOf(reasons)
  return obtained === 0
    ? `refused: ${why}`
    : `partly done: ${obtained} of ${found.files.length} files; not: ${why}`
}

/** Why the runs and files without a link have none, for those that are counted. */
export const reasonsOf = (
  { files, unknown }: FoundLinks,
  isCounted: (file: FileLink) => boolean = ({ kind }) => kind !== 'link',
): readonly string[] => [...unknown.map(({ why }) => why), ...files.filter(isCounted).map(missingReason)]

function missingReason(file: FileLink): string {
  switch (file.kind) {
    case 'link':
      return `${file.key} has a link`
    case 'recalling':
      return `${file.key} is being recalled from tape`
    case 'on-tape':
      return `${file.key}: ${file.how}`
    case 'unavailable':
      return `${file.key}: ${file.why}`
  }
}

const NAMED = 5

/** The first of these reasons. */
export function someOf(reasons: readonly string[]): string {
  const more = reasons.length > NAMED ? `; and ${reasons.length - NAMED} more` : ''
  return `${reasons.slice(0, NAMED).join('; ')}${more}`
}

/** For the audit. */
const namesOf = ({ runs, files }: LinksRequest): string =>
  [
    ...(runs.length === 0 ? [] : [namesOfRuns(runs)]),
    ...files.map(({ bucket, key }) => `${bucket}/${key}`),
  ].join('; ')

async function linksFor(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  caller: Caller,
  request: LinksRequest,
  signal: AbortSignal,
): Promise<FoundLinks> {
  const now = context.now()
  // By the tag of the run to which a file belongs, not by that of its key.
  const found = (await findFiles(context.database, request)).filter(
    ({ isCurrent, file }) => isCurrent && mayObtain(caller, request, file.tag),
  )
  const unknown = unknownOf(request, found)
  if (!request.check && !request.recall)
    return { files: await catalogueLinks(context, found, request.seconds, now), unknown }
  const checked = await linksOfRuns(context, caller, { found, request }, now, signal)
  return { files: checked.files, unknown: [...unknown, ...checked.unknown] }
}

function unknownOf(wanted: LinksRequest, found: readonly FoundFile[]): readonly Unknown[] {
  const runs = new Set(found.map(({ file }) => `${file.tag}/${file.runNumber}`))
  const files = new Set(found.map(({ file }) => `${file.bucket}/${file.key}`))
  return [
    ...wanted.runs
      .filter((run) => !runs.has(`${run.tag}/${run.runNumber}`))
      .map(({ tag, runNumber }) => ({
        tag,
        run: runNumber,
        why: `run ${runNumber} of ${tag} is not in the catalogue, or has no current file`,
      })),
    ...wanted.files
      .filter(({ bucket, key }) => !files.has(`${bucket}/${key}`))
      .map(({ bucket, key }) => ({ bucket, key, why: 'the catalogue has no such file' })),
  ]
}

/** Some runs at the same time; a run for which this fails is listed among the unknown. */
async function linksOfRuns(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  caller: Caller,
  { found, request }: { readonly found: readonly FoundFile[]; readonly request: LinksRequest },
  now: Date,
  signal: AbortSignal,
): Promise<FoundLinks> {
  const options = {
    seconds: request.seconds,
    recall: request.recall
      ? { days: context.config.recall.days, requestedBy: caller.name, subject: caller.subject }
      : undefined,
  }
  const confirmLoss = createConfirmLoss(context)
  const unknown: Unknown[] = []
  const linksOfRun = async (files: readonly FoundFile[]): Promise<readonly FileLink[]> => {
    try {
      return await checkedLinks(context, files, options, now, signal, confirmLoss)
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error
      const why = error.message
      unknown.push(...files.slice(0, 1).map(({ file }) => ({ tag: file.tag, run: file.runNumber, why })))
      return []
    }
  }
  const runs = [...Map.groupBy(found, ({ runId }) => runId).values()]
  const files: FileLink[] = []
  for (let first = 0; first < runs.length; first += AT_ONCE)
    files.push(...(await Promise.all(runs.slice(first, first + AT_ONCE).map(linksOfRun))).flat())
  return { files, unknown }
}
