/** Links to what a caller asks for: by the catalogue alone, or each looked up in the store first. */
import { type Caller, mayDo } from '../../../shared/access/caller.ts'
import type { Right } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import { catalogueLinks } from '../../../shared/copies/links/catalogue-links.ts'
import { checkedLinks } from '../../../shared/copies/links/checked-links.ts'
import { type FileLink, type FoundFile, findFiles } from '../../../shared/copies/links/find-files.ts'
import { createConfirmLoss } from '../../../shared/copies/verify/confirm-loss.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { type ObjectName, parseRunKey, type RunId } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import { notFor } from './readable-tags.ts'

export interface WantedLinks {
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

/** Runs that are looked up in the store at the same time. */
const AT_ONCE = 8

/** A recall is a transaction, and brings hundreds of megabytes. */
const MOST_RECALLS = 100

const rightsFor = ({ recall }: Pick<WantedLinks, 'recall'>): readonly Right[] =>
  recall ? ['link', 'recall'] : ['link']

const mayHave = (caller: Caller, wanted: Pick<WantedLinks, 'recall'>, tag: string): boolean =>
  rightsFor(wanted).every((right) => mayDo(caller, right, tag))

/**
 * @throws a 403 problem (401 for who is nobody) when one of the tags is not for the caller: by its name,
 * whether there is such a run or not.
 */
function checkRights(caller: Caller, wanted: Pick<WantedLinks, 'runs' | 'files' | 'recall'>): void {
  const tags = new Set([
    ...wanted.runs.map((run) => run.tag),
    ...wanted.files.flatMap(({ key }) => parseRunKey(key)?.tag ?? []),
  ])
  for (const right of rightsFor(wanted))
    for (const tag of tags)
      if (!mayDo(caller, right, tag))
        throw notFor(caller, right === 'link' ? `have links to runs of ${tag}` : `recall runs of ${tag}`)
}

export async function findLinks(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  caller: Caller,
  wanted: WantedLinks,
  signal: AbortSignal,
): Promise<FoundLinks> {
  checkRights(caller, wanted)
  if (wanted.recall && wanted.runs.length + wanted.files.length > MOST_RECALLS)
    throw refusal(400, `at most ${MOST_RECALLS} runs and files are recalled at once`)
  const now = context.now()
  // By the tag of the run that a file counts for, not by that of its key.
  const found = (await findFiles(context.database, wanted)).filter(
    ({ isCurrent, file }) => isCurrent && mayHave(caller, wanted, file.tag),
  )
  const unknown = unknownOf(wanted, found)
  if (!wanted.check && !wanted.recall)
    return { files: await catalogueLinks(context, found, wanted.seconds, now), unknown }
  const checked = await linksOfRuns(context, caller, { found, wanted }, now, signal)
  return { files: checked.files, unknown: [...unknown, ...checked.unknown] }
}

function unknownOf(wanted: WantedLinks, found: readonly FoundFile[]): readonly Unknown[] {
  const runs = new Set(found.map(({ file }) => `${file.tag}/${file.runNumber}`))
  const files = new Set(found.map(({ file }) => `${file.bucket}/${file.key}`))
  return [
    ...wanted.runs
      .filter((run) => !runs.has(`${run.tag}/${run.runNumber}`))
      .map(({ tag, runNumber }) => ({
        tag,
        run: runNumber,
        why: `run ${runNumber} of ${tag} is not in the catalogue, or has no file that counts`,
      })),
    ...wanted.files
      .filter(({ bucket, key }) => !files.has(`${bucket}/${key}`))
      .map(({ bucket, key }) => ({ bucket, key, why: 'the catalogue has no such file' })),
  ]
}

/** Some runs at the same time; what is refused for one of them names it among the unknown. */
async function linksOfRuns(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  caller: Caller,
  { found, wanted }: { readonly found: readonly FoundFile[]; readonly wanted: WantedLinks },
  now: Date,
  signal: AbortSignal,
): Promise<FoundLinks> {
  const wish = {
    seconds: wanted.seconds,
    recall: wanted.recall ? { days: context.config.recall.days, requestedBy: caller.name } : undefined,
  }
  const confirmLoss = createConfirmLoss(context)
  const unknown: Unknown[] = []
  const linksOfRun = async (files: readonly FoundFile[]): Promise<readonly FileLink[]> => {
    try {
      return await checkedLinks(context, files, wish, now, signal, confirmLoss)
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
