/**
 * The object that a path names, and the file of a machine that a body names. The key keeps its slashes, whether they are written as such or as %2F, which
 * some gateways decode.
 */
import * as z from 'zod'
import { type ObjectName, parseRunKey } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext, Rule } from '../http/route.ts'
import { whatIsWrong } from '../http/what-is-wrong.ts'

/** As hono matches it. */
export const FILE_PATH = '/api/v1/files/:bucket/:key{.+}'

/** As the OpenAPI document describes it. */
export const fileParams = z.object({
  bucket: z.string().openapi({ description: 'Of the store', example: 'cygno-data' }),
  key: z.string().openapi({ description: 'With its slashes', example: 'LNGS/run12345.mid.gz' }),
})

/** A machine that holds files of runs. */
export const machine = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,253}$/, 'this is no name of a machine')
  .openapi({ description: 'The machine, by its name', example: 'daq01' })

/** What such a machine read on its disk, for a body. */
export const fileOnDisk = z.strictObject({
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hexadecimal is expected')
    .openapi({ description: 'Of the file as it was read just now' }),
  sizeBytes: z.int().min(0),
  host: machine,
  path: z
    .string()
    .max(1300)
    .regex(/^\//, 'an absolute path is expected')
    .openapi({ description: 'Absolute', example: '/data/run12345.mid.gz' }),
})

/** For whoever sends files of the tag. */
export const PUSHERS: Rule = { right: 'push', tagOf }

/** @throws the answer 404 for what is no key of a run. */
export function runFileOf(c: ApiContext): ObjectName {
  const object = objectOf(c)
  if (parseRunKey(object.key) === null) throw refusal(404, `"${object.key}" is not the key of a run`)
  return object
}

const objectOf = (c: ApiContext): ObjectName => ({
  bucket: c.req.param('bucket') ?? '',
  key: c.req.param('key') ?? '',
})

/**
 * All before the file's name, also of a key that is no run's: who may not see the tag does not learn which.
 */
function tagOf(c: ApiContext): string {
  return objectOf(c).key.replace(/\/?[^/]*$/, '')
}

/** The body, checked. @throws the answer 400. */
export async function bodyOf<T>(c: ApiContext, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await c.req.json().catch(() => undefined))
  if (!parsed.success) throw refusal(400, whatIsWrong(parsed.error))
  return parsed.data
}
