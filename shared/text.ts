/** Text from outside: made well-formed where it enters, cut by characters, quoted for people. Pure. */

/**
 * What a later layer refuses: half a surrogate pair (MariaDB's check of JSON), U+FFFE and U+FFFF (XML 1.0 and
 * with it SQS), NUL (every program in C).
 */
const REFUSED = /[\0\ufffe\uffff]|\p{Surrogate}/u
const EVERY_REFUSED = new RegExp(REFUSED, 'gu')

/** Whether every layer keeps the text as it is: database, queues, logs, pages. */
export const isWellFormed = (text: string): boolean => !REFUSED.test(text)

/**
 * The text with U+FFFD in place of each character that a later layer refuses. For what is only shown or
 * stored; a name by which something is found (the key of an object) must stay exact.
 */
export const wellFormed = (text: string): string =>
  isWellFormed(text) ? text : text.replace(EVERY_REFUSED, '\ufffd')

/**
 * Longest text of an error that is stored, characters. Some endpoints answer an error with a whole page: the
 * row must still fit, so that its lease is released.
 */
const LONGEST_ERROR = 4000

/** At most this many characters of a text; no character is split. */
export function cutText(text: string, most = LONGEST_ERROR): string {
  if (text.length <= most) return text
  let end = 0
  for (let count = 0; count < most && end < text.length; count++)
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1
  return text.slice(0, end)
}

/** At most this many characters; an ellipsis replaces the rest. */
export function shortened(text: string, most: number): string {
  return cutText(text, most).length === text.length ? text : `${cutText(text, most - 1)}…`
}

/**
 * A list with `, ` or `; ` between its items, with at most this many characters: whole items, and how many more
 * there are.
 */
export function cutList(text: string, most: number): string {
  if (cutText(text, most) === text) return text
  const kept = cutText(text, most - LONGEST_COUNT)
  const end = Math.max(kept.lastIndexOf(', '), kept.lastIndexOf('; '))
  if (end < 0) return shortened(text, most)
  return `${kept.slice(0, end)}; and ${text.slice(end + 2).split(/[,;] /).length} more`
}

/** `; and 123456 more` */
const LONGEST_COUNT = 20

/** Escapes of JSON (`\ufffe`) for characters; of one with two units, both. */
export const escaped = (characters: string): string =>
  characters.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** The text in quotes, with escapes for what cannot be seen or changes the direction of writing. */
export const quoted = (text: string): string =>
  JSON.stringify(text).replace(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}|\p{Default_Ignorable_Code_Point}/gu, escaped)

/** 1588093000 → "1.59 GB" (powers of 1000, as the experiment counts). */
export function sizeText(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const unit = Math.min(Math.floor(Math.log10(Math.max(size, 1)) / 3), units.length - 1)
  const value = size / 1000 ** unit
  return unit === 0 ? `${size} B` : `${value.toPrecision(3)} ${units[unit]}`
}
