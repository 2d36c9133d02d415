/** The run that the name of an object states or resembles: for people who search for a file that was refused. */
import { isTag, LARGEST_RUN_NUMBER, parseRunKey } from '../run.ts'

export interface NamedRun {
  /** Null for a key without a tag. */
  readonly tag: string | null
  readonly runNumber: number
}

/** Of a misnamed key the number after `run`, else the first one: 12361 for `LNGS/Run12361.mid.gz`. */
export function runInName(key: string): NamedRun | null {
  const run = parseRunKey(key)
  if (run !== null) return { tag: run.tag, runNumber: run.runNumber }
  const slash = key.lastIndexOf('/')
  const fileName = key.slice(slash + 1)
  const digits = (/run\D{0,4}(\d+)/i.exec(fileName) ?? /(\d+)/.exec(fileName))?.[1]
  if (digits === undefined || Number(digits) > LARGEST_RUN_NUMBER) return null
  const tag = key.slice(0, Math.max(slash, 0))
  return { tag: isTag(tag) ? tag : null, runNumber: Number(digits) }
}
