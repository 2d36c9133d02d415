/** The run that a path names: tag and run number. A tag with `/` is one segment, `FLASH%2F2024`. */
import { z } from '@hono/zod-openapi'
import type { Right } from '../../../shared/access/scopes.ts'
import type { Database } from '../../../shared/database/connect.ts'
import type { Run } from '../../../shared/database/schema.ts'
import { heardOfRun, notCataloguedText } from '../../../shared/queries/not-catalogued.ts'
import { findRuns } from '../../../shared/queries/runs.ts'
import { isTag, LARGEST_RUN_NUMBER } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import type { Rule } from '../http/route.ts'

export const tagParam = z
  .string()
  .refine(isTag, 'this is no tag; one is LNGS')
  .openapi({ description: 'Site or detector', example: 'LNGS' })
export const runNumber = z.int().min(0).max(LARGEST_RUN_NUMBER).openapi({ example: 12345 })

export const runParams = z.object({
  tag: tagParam,
  run: z
    .string()
    .regex(/^\d{1,10}$/, 'a run number is expected')
    .transform(Number)
    .refine((value) => value <= LARGEST_RUN_NUMBER, 'there is no run of such a number')
    .openapi({ description: 'Run number', type: 'integer', example: 12345 }),
})

/** The right for the tag in the path. */
export const forTagInPath = (right: Right): Rule => ({ right, tagOf: (c) => c.req.param('tag') ?? '' })

export const useQuery = z
  .string()
  .regex(/^[1-9]\d{0,14}$/, 'a use of a run number is a whole number')
  .transform(Number)
  .openapi({
    description: 'Another use of the run number than the current one, of `uses` of the run',
    type: 'integer',
  })
  .optional()

export interface FoundUse {
  readonly run: Run
  /** All uses of the number in this tag, the current one first. */
  readonly uses: readonly Run[]
}

/**
 * The current use of the number, or the one that is named. Ends the request with 404 when there is none,
 * which says what the ledger knows.
 */
export async function findUse(
  database: Database,
  { tag, run }: z.output<typeof runParams>,
  use: number | undefined,
): Promise<FoundUse> {
  const uses = await findRuns(database, { tag, runNumber: run })
  const [current] = uses
  if (current === undefined)
    throw refusal(
      404,
      notCataloguedText({ tag, runNumber: run }, await heardOfRun(database, { tag, runNumber: run })),
    )
  const chosen = use === undefined ? current : uses.find((each) => each.id === use)
  if (chosen === undefined) throw refusal(404, `run ${run} of ${tag} has no use ${use}`)
  return { run: chosen, uses }
}
