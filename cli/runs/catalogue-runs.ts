/** Runs read from the catalogue itself, by the searches that its API uses. */
import type { Database } from '../../shared/database/connect.ts'
import type { Run } from '../../shared/database/schema.ts'
import { storageOf } from '../../shared/database/storage-summary.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { heardOfRun, heardText } from '../../shared/queries/not-catalogued.ts'
import { runDetailsView, runView } from '../../shared/queries/run-view.ts'
import { describeRun, findRuns } from '../../shared/queries/runs.ts'
import { type RunPage, type RunPosition, searchRuns } from '../../shared/queries/search-runs.ts'
import { shownParameters } from '../../shared/queries/shown-parameters.ts'
import { checkOneTag, named } from './one-tag.ts'
import type { RunItem } from './run-shapes.ts'
import type { RunSource } from './run-source.ts'

const PAGE = 500

export function createCatalogueRuns(database: Database): RunSource {
  return {
    async *find(wish, signal) {
      let after: RunPosition | null = null
      for (let left = wish.limit; left > 0; ) {
        signal.throwIfAborted()
        const search = {
          tags: wish.tags ?? '*',
          conditions: wish.conditions,
          order: wish.order,
          after,
          limit: Math.min(left, PAGE),
        } as const
        const { runs, next }: RunPage = await searchRuns(database, search)
        yield { runs: runs.map((run) => itemOf(run, wish.withParameters)), more: next !== null }
        if (next === null) return
        left -= runs.length
        after = next
      }
    },
    async show({ runNumber, tag }, all) {
      const uses = await findRuns(database, { runNumber, tag })
      if (uses.length === 0) throw await notCatalogued(database, { runNumber, tag })
      checkOneTag(uses, `is a run ${runNumber}`)
      const chosen = all ? uses : uses.slice(0, 1)
      const runs = await Promise.all(
        chosen.map(async (run) => runDetailsView(await describeRun(database, run), uses)),
      )
      return { runs, uses: uses.length }
    },
  }
}

const itemOf = (run: Run, withParameters: boolean): RunItem => ({
  ...runView(run),
  storage: storageOf(run),
  ...(withParameters ? { parameters: shownParameters(run.parameters) } : {}),
})

/** Says what the ledger knows of a run that is not in the catalogue, and what to do. */
async function notCatalogued(
  database: Database,
  run: { readonly runNumber: number; readonly tag: string | undefined },
): Promise<InvalidInputError> {
  const heard = await heardOfRun(database, run)
  const told = `${named(run.runNumber, run.tag)} is not in the catalogue`
  if (heard.length === 0)
    return new InvalidInputError(
      `${told}, and the ledger has never heard of it; \`cygnet reconcile\` looks for it in the store, docs/runbook.md says where else`,
    )
  const lines = heard.map((file) => `  ${heardText(file)}`)
  return new InvalidInputError(
    `${told}, but the ledger knows of it:\n${lines.join('\n')}\n\`cygnet logs --run ${run.runNumber}\` tells more, \`cygnet replay --run ${run.runNumber}\` tries again`,
  )
}
