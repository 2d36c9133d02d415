/**
 * The recorded arrivals of a run that is not in the catalogue. The API, its pages and the command report the
 * same.
 */
import type { Database } from '../database/connect.ts'
import type { Arrival, ArrivalOutcome, ArrivalState } from '../database/schema.ts'
import type { RunId } from '../run.ts'
import { timeText } from '../time/text.ts'
import { findArrivalsOfRun } from './runs.ts'

export interface ArrivedFile {
  readonly bucket: string
  readonly key: string
  readonly state: ArrivalState
  readonly outcome: ArrivalOutcome | null
  /** When it entered this state, or was first reported. */
  readonly since: Date
  readonly attempts: number
  /** Why it is invalid or failed, or the error of the last attempt. */
  readonly reason: string | null
  /**
   * The number in its begin-of-run event, if it differs from that in its name: the run is catalogued under
   * this number.
   */
  readonly cataloguedAs: number | null
}

const MOST_FILES = 20
/** Most files in one sentence. */
const MAX_IN_SENTENCE = 3

/** Newest first, at most 20; empty when no file of the run was ever reported. */
export async function arrivedFilesOf(
  database: Database,
  run: Pick<RunId, 'runNumber'> & Partial<RunId>,
): Promise<readonly ArrivedFile[]> {
  const arrivals = await findArrivalsOfRun(database, run, MOST_FILES)
  const numbers = await numbersWithin(database, arrivals)
  return arrivals.map(
    ({
      bucket,
      objectKey: key,
      state,
      outcome,
      attempts,
      reason,
      finishedAt: finished,
      receivedAt: received,
    }) => {
      const number = numbers.get(`${bucket}/${key}`) ?? run.runNumber
      const cataloguedAs = number === run.runNumber ? null : number
      return { bucket, key, state, outcome, since: finished ?? received, attempts, reason, cataloguedAs }
    },
  )
}

/** The run numbers in the contents of these objects, by `bucket/key`. */
async function numbersWithin(
  database: Database,
  objects: readonly Arrival[],
): Promise<ReadonlyMap<string, number>> {
  if (objects.length === 0) return new Map()
  const rows = await database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .select(['bucket', 'objectKey', 'runNumber'])
    .where('isLive', '=', true)
    .where((where) => where.or(objects.map(({ bucket, objectKey }) => where.and({ bucket, objectKey }))))
    .execute()
  return new Map(rows.map(({ bucket, objectKey: key, runNumber: number }) => [`${bucket}/${key}`, number]))
}

/**
 * `cygno-data/LNGS/run12345.mid.gz: failed since 2026-01-15 08:00:03 UTC after 6 attempts: the store answered
 * 503`
 */
export function arrivedFilesText({
  bucket,
  key,
  state,
  outcome,
  since,
  attempts,
  reason,
  cataloguedAs,
}: ArrivedFile): string {
  const what =
    cataloguedAs === null
      ? outcome
      : `${outcome} as run ${cataloguedAs}, the number in its begin-of-run event`
  const how = outcome === null ? state : `${state} (${what})`
  return `${bucket}/${key}: ${how} since ${timeText(since)} UTC after ${triesText(attempts)}${reason === null ? '' : `: ${reason}`}`
}

const triesText = (attempts: number): string => (attempts === 1 ? '1 attempt' : `${attempts} attempts`)

/** One sentence, which begins with `run 12345 of LNGS is not in the catalogue`. */
export function notCataloguedText({ tag, runNumber }: RunId, files: readonly ArrivedFile[]): string {
  const beginning = `run ${runNumber} of ${tag} is not in the catalogue`
  if (files.length === 0) return beginning
  const more = files.length > MAX_IN_SENTENCE ? '; and more' : ''
  return `${beginning}, but its files were reported: ${files.slice(0, MAX_IN_SENTENCE).map(arrivedFilesText).join('; ')}${more}`
}
