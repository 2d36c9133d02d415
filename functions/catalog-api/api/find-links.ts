/** Links to what a caller asks for: by the catalogue alone, or each looked up in the store first. */
import { type Caller, mayDo } from '../../../shared/access/caller.ts'
import type { Right } from '../../../shared/access/scopes.ts'
import type { TapeContext } from '../../../shared/context.ts'
import { catalogueLinks, type FileOfRun, findFiles } from '../../../shared/copies/links/catalogue-links.ts'
import { runLinks } from '../../../shared/copies/links/run-links.ts'
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
  readonly files: readonly FileOfRun[]
  readonly unknown: readonly Unknown[]
}

/** Looked up in the store at once, each. */
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
  context: TapeContext,
  caller: Caller,
  wanted: WantedLinks,
  signal: AbortSignal,
): Promise<FoundLinks> {
  checkRights(caller, wanted)
  if (wanted.recall && wanted.runs.length + wanted.files.length > MOST_RECALLS)
    throw refusal(400, `at most ${MOST_RECALLS} runs and files are recalled at once`)
  const now = context.now()
  if (wanted.check || wanted.recall) return await checkedLinks(context, caller, wanted, now, signal)
  const found = await trustedLinks(context, wanted, now)
  return { ...found, files: found.files.filter((file) => mayHave(caller, wanted, file.tag)) }
}

async function trustedLinks(context: TapeContext, wanted: WantedLinks, now: Date): Promise<FoundLinks> {
  const files = await catalogueLinks(context, wanted, wanted.seconds, now)
  return { files, unknown: unknownOf(wanted, files) }
}

function unknownOf(wanted: WantedLinks, found: readonly (RunId & ObjectName)[]): readonly Unknown[] {
  const runs = new Set(found.map((file) => `${file.tag}/${file.runNumber}`))
  const files = new Set(found.map((file) => `${file.bucket}/${file.key}`))
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

async function checkedLinks(
  context: TapeContext,
  caller: Caller,
  wanted: WantedLinks,
  now: Date,
  signal: AbortSignal,
): Promise<FoundLinks> {
  // Before anything is asked of the tape: by the tag of the run that a file counts for, not by that of its
  // key.
  const named = (await findFiles(context.database, wanted)).filter((file) =>
    mayHave(caller, wanted, file.tag),
  )
  const wish = {
    seconds: wanted.seconds,
    recall: wanted.recall ? { days: context.config.recall.days, requestedBy: caller.name } : undefined,
  }
  const runs = [
    ...new Map(named.map(({ tag, runNumber }) => [`${tag}/${runNumber}`, { tag, runNumber }])).values(),
  ]
  const names = new Set(named.map(({ bucket, key }) => `${bucket}/${key}`))
  const confirmLoss = createConfirmLoss(context)
  const files: FileOfRun[] = []
  const unknown: Unknown[] = [...unknownOf(wanted, named)]
  for (let first = 0; first < runs.length; first += AT_ONCE)
    await Promise.all(
      runs.slice(first, first + AT_ONCE).map(async (run) => {
        try {
          const links = await runLinks(context, run, wish, now, signal, confirmLoss)
          files.push(
            ...links.files
              .filter((file) => names.has(`${file.bucket}/${file.key}`))
              .map((file) => ({ ...run, ...file })),
          )
        } catch (error) {
          if (!(error instanceof InvalidInputError)) throw error
          unknown.push({ tag: run.tag, run: run.runNumber, why: error.message })
        }
      }),
    )
  const order = new Map(named.map(({ bucket, key }, index) => [`${bucket}/${key}`, index]))
  const place = (file: FileOfRun) => order.get(`${file.bucket}/${file.key}`) ?? 0
  return { files: files.toSorted((a, b) => place(a) - place(b)), unknown }
}
