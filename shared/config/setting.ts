/** The types of the values of settings. */
import * as z from 'zod'

export const text = z.string().trim().min(1)
export const list = text.transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
)
/** A list that must not be empty, so that a typing error does not disable it. */
export const fullList = list.refine((items) => items.length > 0, 'names nothing')
/** Digits only: other texts that JavaScript accepts as numbers (blanks are 0, 1e3) are typing errors. */
export const digits = z.string().trim().regex(/^\d+$/, 'expected a whole number').transform(Number)
export const whole = digits.pipe(z.number().max(Number.MAX_SAFE_INTEGER))
export const positive = digits.pipe(z.number().min(1).max(Number.MAX_SAFE_INTEGER))
export const share = z
  .string()
  .trim()
  .regex(/^[01]([.]\d+)?$/, 'expected a share like 0.85')
  .transform(Number)
  .pipe(z.number().gt(0).lte(1))
/** `LNGS=7200,LNF=3600` */
export const wholeByName = z.string().transform((value, context): Readonly<Record<string, number>> => {
  const pairs = value.split(',').filter((pair) => pair.trim() !== '')
  const entries = pairs.map((pair) => pair.split('=').map((part) => part.trim()))
  if (
    entries.some(
      ([name = '', number = '', ...more]) => name === '' || !/^\d+$/.test(number) || more.length > 0,
    )
  )
    context.addIssue({ code: 'custom', message: 'expected NAME=NUMBER, separated by commas' })
  return Object.fromEntries(entries.map(([name = '', number]) => [name, Number(number)]))
})

/** One setting: its environment variable, its type, and its description. */
export interface Setting<T extends z.ZodType = z.ZodType> {
  readonly variable: `CYGNET_${string}`
  readonly schema: T
  readonly description: string
  /** Never shown. */
  readonly secret: boolean
}

export const setting = <T extends z.ZodType>(
  variable: Setting['variable'],
  schema: T,
  description: string,
  secret = false,
): Setting<T> => ({ variable, schema, description, secret })
