/** Conditions for selecting runs, as SQL on the table `runs`. */
import { type RawBuilder, sql } from 'kysely'
import { PROBLEM_KINDS, type ProblemKind } from '../catalogue/open-problems.ts'
import type { Integrity } from '../database/schema.ts'
import type { StorageSummary } from '../database/storage-summary.ts'
import type { RunlogColumn } from '../extraction/run-parameters.ts'

export const RUN_ORDERS = ['run', 'start', 'size', 'events', 'catalogued'] as const
export type RunOrder = (typeof RUN_ORDERS)[number]

/** A kind of open problem, or any. */
export const PROBLEM_WORDS = ['any', ...PROBLEM_KINDS] as const

export interface RunConditions {
  /** Run numbers, both ends included. */
  readonly from?: number | undefined
  readonly to?: number | undefined
  /** Begin of run: from `since` on, before `until`. */
  readonly since?: Date | undefined
  readonly until?: Date | undefined
  readonly complete?: boolean | undefined
  readonly pedestal?: boolean | undefined
  readonly integrity?: Integrity | undefined
  readonly problem?: 'any' | ProblemKind | undefined
  /** Part of the description, case-insensitive. */
  readonly text?: string | undefined
  readonly cloud?: StorageSummary['cloud'] | undefined
  readonly tape?: StorageSummary['tape'] | undefined
  readonly parameters?: readonly ParameterCondition[] | undefined
}

export const PARAMETER_OPERATORS = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'] as const
export type ParameterOperator = (typeof PARAMETER_OPERATORS)[number]

/**
 * A run parameter compared with a value: a number for numeric columns, else text. A run without the parameter
 * never matches.
 */
export interface ParameterCondition {
  readonly column: RunlogColumn
  readonly operator: ParameterOperator
  readonly value: number | string
}

export function matches(conditions: RunConditions): RawBuilder<unknown>[] {
  const {
    from,
    to,
    since,
    until,
    complete,
    pedestal,
    integrity,
    problem,
    cloud,
    tape,
    text,
    parameters = [],
  } = conditions
  const parts: RawBuilder<unknown>[] = []
  if (from !== undefined) parts.push(sql`runs.run_number >= ${from}`)
  if (to !== undefined) parts.push(sql`runs.run_number <= ${to}`)
  if (since !== undefined) parts.push(sql`runs.started_at >= ${since}`)
  if (until !== undefined) parts.push(sql`runs.started_at < ${until}`)
  if (complete !== undefined) parts.push(sql`runs.complete = ${Number(complete)}`)
  if (pedestal !== undefined) parts.push(sql`runs.pedestal = ${Number(pedestal)}`)
  if (integrity !== undefined) parts.push(sql`runs.integrity = ${integrity}`)
  if (problem !== undefined) parts.push(sql`runs.has_problem = 1`)
  if (problem !== undefined && problem !== 'any') parts.push(sql`FIND_IN_SET(${problem}, runs.problems)`)
  if (cloud !== undefined) parts.push(sql`runs.cloud = ${cloud}`)
  if (tape !== undefined) parts.push(sql`runs.tape = ${tape}`)
  if (text !== undefined)
    parts.push(
      sql`runs.description COLLATE utf8mb4_unicode_520_ci LIKE ${`%${escapeLike(text)}%`} ESCAPE '|'`,
    )
  return [...parts, ...parameters.map(compares)]
}

const escapeLike = (text: string) => text.replace(/[|%_]/g, '|$&')

function compares({ column, operator, value }: ParameterCondition): RawBuilder<unknown> {
  const stored = sql`JSON_VALUE(runs.parameters, ${`$.${column.name}`})`
  if (typeof value === 'string') return sql`${stored} ${sql.raw(SYMBOLS[operator])} ${value}`
  const number = sql`CAST(${stored} AS DOUBLE)`
  const margin =
    column.sqlType === 'FLOAT' || column.sqlType === 'DOUBLE' ? Math.abs(value) * SINGLE_PRECISION : 0
  switch (operator) {
    case 'eq':
      return sql`${number} BETWEEN ${value - margin} AND ${value + margin}`
    case 'ne':
      return sql`${number} NOT BETWEEN ${value - margin} AND ${value + margin}`
    case 'gte':
    case 'lt':
      return sql`${number} ${sql.raw(SYMBOLS[operator])} ${value - margin}`
    case 'lte':
    case 'gt':
      return sql`${number} ${sql.raw(SYMBOLS[operator])} ${value + margin}`
  }
}

/**
 * Values of the ODB are single-precision numbers written with more digits: 0.3 is stored as
 * 0.30000001192092896.
 */
const SINGLE_PRECISION = 2 ** -23

const SYMBOLS = { eq: '=', ne: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const satisfies Record<
  ParameterOperator,
  string
>
