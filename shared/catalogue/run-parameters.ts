/**
 * A run's parameters from all who state them, a person before the files' ODB before the DAQ's logger. Each
 * keeps what it stated, so that none is lost when another one speaks again. Pure.
 */
import type { Parameters, Run } from '../database/schema.ts'

export type ParameterSource = 'person' | 'file' | 'logger'

type Stated = Pick<Run, 'fileParameters' | 'loggerParameters' | 'corrections'>

/** What each source states, the one that counts most last; null is no statement. */
const layersOf = ({ fileParameters, loggerParameters, corrections }: Stated) =>
  [
    ['logger', Object.entries(loggerParameters ?? {})],
    ['file', Object.entries(fileParameters ?? {})],
    ['person', Object.entries(corrections ?? {}).map(([name, { value }]) => [name, value] as const)],
  ] as const

/** By Runlog column; null for what the files should state and nobody does. */
export function mergeParameters(stated: Stated): Parameters {
  const values = layersOf(stated).flatMap(([, entries]) => entries.filter(([, value]) => value !== null))
  return { ...stated.fileParameters, ...Object.fromEntries(values) }
}

/** Who states each parameter that is not null. */
export function parameterSources(stated: Stated): Readonly<Record<string, ParameterSource>> {
  const sources = layersOf(stated).flatMap(([source, entries]) =>
    entries.filter(([, value]) => value !== null).map(([name]) => [name, source] as const),
  )
  return Object.fromEntries(sources)
}
