/** Numbers, sizes and ages as shown on pages. */

const SECOND_MS = 1000
const AGES: readonly (readonly [limitSeconds: number, unitSeconds: number, unit: string])[] = [
  [90, 1, 's'],
  [90 * 60, 60, 'min'],
  [36 * 3600, 3600, 'h'],
  [Number.POSITIVE_INFINITY, 86_400, 'd'],
]

/**
 * `12 min`: the age in the unit that gives at most two digits. A time in the future (clocks differ) counts as
 * now.
 */
export function age(at: Date, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - at.getTime()) / SECOND_MS))
  const [, unitSeconds, unit] = AGES.find(([limit]) => seconds < limit) ?? [0, 1, 's']
  return `${Math.floor(seconds / unitSeconds)} ${unit}`
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** `1.2 GB`, powers of 1000 with three digits. */
export function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), UNITS.length - 1)
  const value = count / 1000 ** power
  // 999.6 would be rounded to 1000: it is written in the next unit.
  if (Math.round(value) >= 1000 && power < UNITS.length - 1) return `1.00 ${UNITS[power + 1]}`
  const digits = power === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[power]}`
}

/** `12 345`, with narrow no-break spaces. */
export const count = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f')

/** `1 run`, `3 runs` */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** `12 min`: a time span in the same units. */
export const spanText = (ms: number): string => age(new Date(0), new Date(ms))

/** `3 min 20 s` between two times. */
export function duration(from: Date, to: Date): string {
  const seconds = Math.max(0, Math.round((to.getTime() - from.getTime()) / SECOND_MS))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)]
  if (hours > 0) return `${hours} h ${minutes} min`
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}

/**
 * A run parameter: numbers of the ODB are single precision, so digits after the seventh are not significant.
 */
export function parameter(value: number | string | null): string {
  if (value === null || value === '') return '–'
  return typeof value === 'number' && !Number.isInteger(value)
    ? String(Number(value.toPrecision(7)))
    : String(value)
}

/** A sentence begins with a capital letter. */
export const capitalized = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`
