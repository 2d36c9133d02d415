/** Finds a run by number and, if several tags have that number, by tag. */
import type { Executor } from '../../database/connect.ts'
import type { Run, RunFile } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'

/** A run as people name it; or one generation of its number by the catalogue's id, with all its live files. */
export type RunSelector =
  | { readonly runNumber: number; readonly tag?: string | undefined }
  | { readonly runId: number }

export interface RunWithFiles {
  readonly run: Run
  /** The files that count (by id, all live ones), in the order of their subruns; at least one. */
  readonly files: readonly RunFile[]
}

/**
 * @throws InvalidInputError when the run is unknown, when its number needs a tag, or when it has no current
 * file.
 */
export async function resolveRun(executor: Executor, selector: RunSelector): Promise<RunWithFiles> {
  const run =
    'runId' in selector ? await findById(executor, selector.runId) : await findCurrent(executor, selector)
  const files = await executor
    .selectFrom('runFiles')
    .selectAll()
    .where('runId', '=', run.id)
    .where('isLive', '=', true)
    .$if(!('runId' in selector), (query) => query.where('counts', '=', true))
    .orderBy('subrun')
    .orderBy('id')
    .execute()
  if (files.length > 0) return { run, files }
  const none = run.firstFileAt === null ? 'was catalogued yet' : 'counts any more'
  const why = run.problem === null ? '' : `: ${run.problem}`
  throw new InvalidInputError(`no file of run ${run.runNumber} of ${run.tag} ${none}${why}`, {
    run: run.runNumber,
    tag: run.tag,
  })
}

/** Runs of a tag that have files that count, by number; at most `most`. Others of the range do not count. */
export async function runsInRange(
  executor: Executor,
  { tag, from, to }: { readonly tag: string; readonly from: number; readonly to: number },
  most: number,
): Promise<readonly RunWithFiles[]> {
  const runs = await executor
    .selectFrom('runs')
    .selectAll()
    .where('tag', '=', tag)
    .where('isCurrent', '=', true)
    .where('runNumber', '>=', from)
    .where('runNumber', '<=', to)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('runFiles')
          .select('runFiles.id')
          .whereRef('runFiles.runId', '=', 'runs.id')
          .where('isLive', '=', true)
          .where('counts', '=', true),
      ),
    )
    .orderBy('runNumber')
    .limit(most)
    .execute()
  if (runs.length === 0) return []
  const files = await executor
    .selectFrom('runFiles')
    .selectAll()
    .where(
      'runId',
      'in',
      runs.map(({ id }) => id),
    )
    .where('isLive', '=', true)
    .where('counts', '=', true)
    .orderBy('subrun')
    .orderBy('id')
    .execute()
  const byRun = Map.groupBy(files, ({ runId }) => runId)
  return runs.flatMap((run) => {
    const own = byRun.get(run.id)
    return own === undefined ? [] : [{ run, files: own }]
  })
}

async function findById(executor: Executor, id: number): Promise<Run> {
  const run = await executor.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst()
  if (run === undefined) throw new InvalidInputError(`the catalogue has no run with the id ${id}`)
  return run
}

async function findCurrent(
  executor: Executor,
  { runNumber, tag }: { readonly runNumber: number; readonly tag?: string | undefined },
): Promise<Run> {
  const [run, ...others] = await executor
    .selectFrom('runs')
    .selectAll()
    .where('runNumber', '=', runNumber)
    .where('isCurrent', '=', true)
    .$if(tag !== undefined, (query) => query.where('tag', '=', tag as string))
    .orderBy('tag')
    .execute()
  if (run === undefined)
    throw new InvalidInputError(
      `run ${runNumber}${tag === undefined ? '' : ` of ${tag}`} is not in the catalogue`,
    )
  if (others.length === 0) return run
  const tags = [run, ...others].map(({ tag: name }) => name)
  throw new InvalidInputError(
    `there is a run ${runNumber} of ${tags.slice(0, -1).join(', ')} and of ${tags.at(-1)}: give its tag`,
  )
}
