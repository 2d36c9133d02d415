/** Parsers of the arguments and options that several commands share. */
import { InvalidArgumentError, Option } from 'commander'
import { isTag, LARGEST_RUN_NUMBER, TAG_RULE } from '../shared/run.ts'
import { quoted } from '../shared/text.ts'
import { parseTimeText } from '../shared/time/text.ts'

/** Both ends included. */
export interface RunRange {
  readonly from: number
  readonly to: number
}

/** For commands about one run. */
export const tagOption = () =>
  new Option('--tag <tag>', 'the tag; needed when several tags have a run of this number').argParser(parseTag)

export function parseTag(text: string): string {
  if (!isTag(text)) throw new InvalidArgumentError(`${quoted(text)} is no tag: ${TAG_RULE}.`)
  return text
}

export function parseRunNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > LARGEST_RUN_NUMBER)
    throw new InvalidArgumentError('A whole number is expected.')
  return value
}

export function parseRange(text: string): RunRange {
  const [from = '', to = '', ...more] = text.split('..')
  if (from === '' || to === '' || more.length > 0)
    throw new InvalidArgumentError('A range FROM..TO is expected, e.g. 12000..12100.')
  const range = { from: parseRunNumber(from), to: parseRunNumber(to) }
  if (range.from > range.to) throw new InvalidArgumentError('The first number must be the smaller one.')
  return range
}

export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(
      `A whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`} is expected.`,
    )
  }
}

/** For an option that may be given several times. */
export const several =
  <T>(parse: (text: string) => T) =>
  (text: string, before: readonly T[] = []): readonly T[] => [...before, parse(text)]

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
}

/** Bytes of `450MB`, `16 MiB`, `1024`; NaN for anything else. */
export function bytesOfText(text: string): number {
  const [, value = Number.NaN, unit = 'b'] = /^(\d+(?:\.\d+)?) ?([kmg]?i?b)?$/i.exec(text) ?? []
  return Number(value) * (UNITS[unit.toLowerCase()] ?? Number.NaN)
}

const SECONDS_OF: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 }

/** What `parsePastTime` accepts, for the texts of options. */
export const PAST_TIME = '2026-05-31, 2026-05-31T12:00Z (UTC), today, or 6h or 2d before now'

/** A time of an option, once the current time is known. */
export type PastTime = (now: Date) => Date

/** A time, a day, or a time before now: `30m`, `6h`, `2d`, `1w`, `today`, `yesterday`. UTC. */
export function parsePastTime(text: string): PastTime {
  const days = ['today', 'yesterday'].indexOf(text)
  if (days >= 0) return (now) => new Date((Math.floor(now.getTime() / 86_400_000) - days) * 86_400_000)
  const [, count, unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? []
  if (count !== undefined)
    return (now) => new Date(now.getTime() - Number(count) * (SECONDS_OF[unit] ?? 0) * 1000)
  const time = parseTimeText(text)
  if (time === null) throw new InvalidArgumentError(`A time is expected: ${PAST_TIME}.`)
  return () => time
}
