/**
 * The volume of each day by place: a strip of bars for each place, each against what was taken on that day, on
 * the same scale. So no place hides another, and all values are written beside the strips.
 */
import { html } from 'hono/html'
import type { DayOfTag } from '../../../shared/queries/dashboard.ts'
import { bars } from './bars.ts'
import { bytes } from './format.ts'
import { type Html, NOTHING } from './parts.ts'

const DAY_MS = 86_400_000

export interface DailyVolumes {
  /** Days (UTC), `2026-01-15`, oldest first. */
  readonly days: readonly string[]
  /** All tags together, bytes per day. */
  readonly taken: readonly number[]
  readonly local: readonly number[]
  readonly cloud: readonly number[]
  readonly tape: readonly number[]
}

/** Every day from `since` to `now`, also those without runs. */
export function dailyVolumes(rows: readonly DayOfTag[], since: Date, now: Date): DailyVolumes {
  const length = Math.max(1, Math.ceil((now.getTime() - since.getTime()) / DAY_MS))
  const days = Array.from({ length }, (_, index) =>
    new Date(since.getTime() + index * DAY_MS).toISOString().slice(0, 10),
  )
  const byDay = Map.groupBy(rows, ({ day }) => day)
  const sum = (value: (row: DayOfTag) => number) =>
    days.map((day) => (byDay.get(day) ?? []).reduce((total, row) => total + value(row), 0))
  return {
    days,
    taken: sum((row) => row.takenBytes),
    local: sum((row) => row.localBytes),
    cloud: sum((row) => row.cloudBytes),
    tape: sum((row) => row.tapeBytes),
  }
}

/** Empty where no data was taken. */
export function volumeCharts({ days, taken, local, cloud, tape }: DailyVolumes): Html {
  const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)
  const all = total(taken)
  if (all === 0) return NOTHING
  const strips = [
    ['Tape', tape],
    ['Store', cloud],
    ['DAQ disk', local],
  ] as const
  return html`<figure class="volumes"><figcaption>Volume of each day (UTC) by place, ${days[0]} to ${days.at(-1)}. <span class="key part" aria-hidden="true"></span> at the place <span class="key whole" aria-hidden="true"></span> taken, ${bytes(all)} in all, at most ${bytes(Math.max(...taken))} in a day</figcaption>
${strips.map(
  ([name, values]) =>
    html`<div class="volume"><p><strong>${name}</strong> ${bytes(total(values))} <span class="quiet">${percentOf(total(values), all)}; last day ${bytes(values.at(-1) ?? 0)} of ${bytes(taken.at(-1) ?? 0)}</span></p>${bars(values, `${name}: ${bytes(total(values))} of ${bytes(all)}; the table below has each day`, taken)}</div>`,
)}
<p class="axis quiet" aria-hidden="true"><span>${days[0]}</span><span>${days.at(-1)}</span></p></figure>`
}

/** Rounded down: 100 % is said only of all. */
export const percentOf = (part: number, all: number): string =>
  `${all === 0 ? 0 : Math.floor((100 * part) / all)} %`
