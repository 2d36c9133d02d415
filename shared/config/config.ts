/**
 * The settings of every process, read from the environment only in this module. Each concern has a file in
 * this folder.
 *
 * Any variable may be given as NAME_FILE instead, the path of a file with the value: OpenFaaS, Knative and
 * Docker pass secrets this way. docs/configuration.md is generated from the descriptions.
 *
 * @example
 * const config = loadConfig({ CYGNET_DATABASE_URL: 'mysql://user:password@localhost/cygnet' })
 * config.tape.copySeconds // 800
 */
import { readFileSync } from 'node:fs'
import type * as z from 'zod'
import { InvalidInputError } from '../errors.ts'
import { access } from './access.ts'
import { alerts } from './alerts.ts'
import { api } from './api.ts'
import { clean } from './clean.ts'
import { database } from './database.ts'
import { fts } from './fts.ts'
import { host } from './host.ts'
import { ingest } from './ingest.ts'
import { legacy } from './legacy.ts'
import { queue } from './queue.ts'
import { recall } from './recall.ts'
import { reco } from './reco.ts'
import { rucio } from './rucio.ts'
import { scrub } from './scrub.ts'
import type { Setting } from './setting.ts'
import { store } from './store.ts'
import { tape } from './tape.ts'
import { work } from './work.ts'

/** In the order of the documentation. */
export const concerns = {
  database,
  store,
  queue,
  work,
  ingest,
  reco,
  tape,
  fts,
  rucio,
  recall,
  clean,
  scrub,
  access,
  legacy,
  alerts,
  api,
  host,
} as const

type Values<Settings> = {
  readonly [Name in keyof Settings]: Settings[Name] extends Setting<infer Schema> ? z.infer<Schema> : never
}
export type Config = { readonly [Concern in keyof typeof concerns]: Values<(typeof concerns)[Concern]> }
export type Environment = Readonly<Record<string, string | undefined>>

const mapValues = <T, R>(of: Readonly<Record<string, T>>, to: (value: T) => R) =>
  Object.fromEntries(Object.entries(of).map(([name, value]) => [name, to(value)]))

/**
 * The environment of the process, for callers that add defaults of their own (the CLI: those of the running
 * local stack).
 */
export const processEnvironment = (): Environment => process.env

/**
 * The value of a variable, or of the file named by its NAME_FILE, without the trailing line break; undefined
 * if it is missing or blank.
 */
function textOf(environment: Environment, variable: string): string | undefined {
  const path = environment[`${variable}_FILE`]
  let text = environment[variable]
  if (path !== undefined && text === undefined)
    try {
      text = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    } catch (cause) {
      throw new InvalidInputError(`${variable}_FILE: cannot read ${path}`, {}, { cause })
    }
  return text?.trim() === '' ? undefined : text
}

/** Within a setting that is JSON: `routes[1].channels`; empty for the setting itself. */
const placeOf = (path: readonly PropertyKey[]): readonly string[] =>
  path.length === 0
    ? []
    : [
        path
          .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
          .join('')
          .replace(/^\./, ''),
      ]

/**
 * Reads and validates the settings.
 * @throws InvalidInputError naming every invalid variable (never its value, which may be a secret).
 */
export function loadConfig(environment: Environment = processEnvironment()): Config {
  const problems: string[] = []
  const read = ({ variable, schema }: Setting): unknown => {
    const result = schema.safeParse(textOf(environment, variable))
    if (!result.success)
      problems.push(
        ...result.error.issues.map(({ path, message }) => [variable, ...placeOf(path), message].join(': ')),
      )
    return result.data
  }
  const config = mapValues(concerns, (settings) => mapValues<Setting, unknown>(settings, read))
  if (problems.length > 0) throw new InvalidInputError(`configuration: ${problems.join('; ')}`)
  return config as unknown as Config
}

/**
 * The settings by variable, safe to show: secrets replaced by stars, the password removed from the database
 * address.
 */
export function redactedConfig(config: Config): Record<string, unknown> {
  const shown = ({ variable, secret }: Setting, value: unknown): unknown => {
    if (variable === 'CYGNET_DATABASE_URL') return String(value).replace(/\/\/([^:/@]*):[^@]*@/, '//$1:***@')
    return secret && value !== undefined ? '***' : value
  }
  return Object.fromEntries(
    Object.entries(concerns).flatMap(([concern, settings]) => {
      const values: Readonly<Record<string, unknown>> = config[concern as keyof Config]
      return Object.entries<Setting>(settings).map(([name, setting]) => [
        setting.variable,
        shown(setting, values[name]),
      ])
    }),
  )
}
