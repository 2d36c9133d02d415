/** The data of the charts drawn by assets/charts.js; the table below them shows the same data. */
import type { DayOfTag } from '../../../shared/queries/dashboard.ts'

export interface ChartData {
  /** Midnight (UTC) of each day, Unix seconds. */
  readonly days: readonly number[]
  /** All tags together, bytes per day. */
  readonly taken: readonly number[]
  readonly tape: readonly number[]
  /** Null on days without runs, which are gaps in these lines. */
  readonly local: readonly (number | null)[]
  readonly cloud: readonly (number | null)[]
  /** Share of the data of each day that is verified on tape, percent. */
  readonly share: readonly (number | null)[]
}

const DAY_MS = 86_400_000

export function chartData(rows: readonly DayOfTag[], since: Date, now: Date): ChartData {
  const length = Math.max(1, Math.ceil((now.getTime() - since.getTime()) / DAY_MS))
  const days = Array.from({ length }, (_, index) => since.getTime() + index * DAY_MS)
  const byDay = Map.groupBy(rows, ({ day }) => Date.parse(`${day}T00:00:00Z`))
  const sum = (value: (row: DayOfTag) => number) =>
    days.map((day) => (byDay.get(day) ?? []).reduce((total, row) => total + value(row), 0))
  const [taken, tape] = [sum((row) => row.takenBytes), sum((row) => row.tapeBytes)]
  const orGap = (amounts: readonly number[]) =>
    amounts.map((bytes, index) => (taken[index] === 0 ? null : bytes))
  return {
    days: days.map((day) => day / 1000),
    taken,
    tape,
    local: orGap(sum((row) => row.localBytes)),
    cloud: orGap(sum((row) => row.cloudBytes)),
    share: taken.map((all, index) => (all === 0 ? null : Math.round((1000 * (tape[index] ?? 0)) / all) / 10)),
  }
}
