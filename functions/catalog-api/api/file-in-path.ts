/**
 * The object that a path names. The key keeps its slashes, whether they are written as such or as %2F, which
 * some gateways decode.
 */
import * as z from 'zod'
import { type ObjectName, parseRunKey } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext, Rule } from '../http/route.ts'

/** As hono matches it. */
export const FILE_PATH = '/api/v1/files/:bucket/:key{.+}'

/** As the OpenAPI document describes it. */
export const fileParams = z.object({
  bucket: z.string().openapi({ description: 'Of the store', example: 'cygno-data' }),
  key: z.string().openapi({ description: 'With its slashes', example: 'LNGS/run12345.mid.gz' }),
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
