/** The run named by a path: tag and run number. A tag with `/` is one segment, `FLASH%2F2024`. */
import { z } from '@hono/zod-openapi'
import type { Right } from '../../../shared/access/rights.ts'
import type { Database } from '../../../shared/database/connect.ts'
import type { Run } from '../../../shared/database/schema.ts'
import { arrivedFilesOf, notCataloguedText } from '../../../shared/queries/not-catalogued.ts'
import { findRuns } from '../../../shared/queries/runs.ts'
import { isTag, LARGEST_RUN_NUMBER } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import type { Rule } from '../http/route.ts'

const tagParam = z
  .string()
  .refine(isTag, 'not a tag, such as LNGS')
  .openapi({ description: 'Site or detector', example: 'LNGS' })
export const runNumber = z.int().min(0).max(LARGEST_RUN_NUMBER).openapi({ example: 12345 })

export const runParams = z.object({
  tag: tagParam,
  run: z
    .string()
    .regex(/^\d{1,10}$/, 'expected a run number')
    .transform(Number)
    .refine((value) => value <= LARGEST_RUN_NUMBER, 'the run number is too large')
    .openapi({ description: 'Run number', type: 'integer', example: 12345 }),
})

/** The right for the tag in the path. */
export const forTagInPath = (right: Right): Rule => ({ right, tagOf: (c) => c.req.param('tag') ?? '' })

export const generationQuery = z
  .string()
  .regex(/^[1-9]\d{0,14}$/, 'expected the id of a generation, a whole number')
  .transform(Number)
  .openapi({
    description: 'A generation of a reused run number other than the current one, from `uses` of the run',
    type: 'integer',
  })
  .optional()

export interface FoundGeneration {
  readonly run: Run
  /** All generations of the number in this tag, the current one first. */
  readonly uses: readonly Run[]
}

/**
 * The current generation of the number, or the one named. Ends the request with a 404 problem when there is
 * none, which reports the recorded arrivals.
 */
export async function findGeneration(
  database: Database,
  { tag, run }: z.output<typeof runParams>,
  use: number | undefined,
): Promise<FoundGeneration> {
  const uses = await findRuns(database, { tag, runNumber: run })
  const [current] = uses
  if (current === undefined)
    throw refusal(
      404,
      notCataloguedText({ tag, runNumber: run }, await arrivedFilesOf(database, { tag, runNumber: run })),
    )
  const chosen = use === undefined ? current : uses.find((each) => each.id === use)
  if (chosen === undefined) throw refusal(404, `run ${run} of ${tag} has no generation ${use}`)
  return { run: chosen, uses }
}
