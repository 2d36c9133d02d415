/**
 * The parameters of a run, merged from three sources: a person, then the files' ODB, then the DAQ's logger.
 * The statements of each source are kept, so that one source never overwrites another. Pure.
 */
import type { Parameters, Run } from '../database/schema.ts'

export type ParameterSource = 'person' | 'file' | 'logger'

type Stated = Pick<Run, 'fileParameters' | 'loggerParameters' | 'corrections'>

/** The statements of each source, in rising order of precedence; null is no statement. */
const layersOf = ({ fileParameters, loggerParameters, corrections }: Stated) =>
  [
    ['logger', Object.entries(loggerParameters ?? {})],
    ['file', Object.entries(fileParameters ?? {})],
    ['person', Object.entries(corrections ?? {}).map(([name, { value }]) => [name, value] as const)],
  ] as const

/** By Runlog column; null for parameters that the files should state and no source does. */
export function mergeParameters(stated: Stated): Parameters {
  const values = layersOf(stated).flatMap(([, entries]) => entries.filter(([, value]) => value !== null))
  return { ...stated.fileParameters, ...Object.fromEntries(values) }
}

/** The source of each parameter that is not null. */
export function parameterSources(stated: Stated): Readonly<Record<string, ParameterSource>> {
  const sources = layersOf(stated).flatMap(([source, entries]) =>
    entries.filter(([, value]) => value !== null).map(([name]) => [name, source] as const),
  )
  return Object.fromEntries(sources)
}
