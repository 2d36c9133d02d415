/** Where the copies of a file are, for who asks whether its own may be deleted. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import { parseRunKey } from '../../../shared/notifications/run-key.ts'
import type { ObjectName } from '../../../shared/storage/objects.ts'
import { refusal } from '../problem.ts'
import { type Api, type ApiContext, addPage } from '../route.ts'
import { problems, SECURITY } from './problems.ts'

const copy = z.object({ state: z.string().openapi({ example: 'on-media' }), verifiedAt: z.iso.datetime().nullable() })

const fileCopies = z.object({
  sha256: z.string().openapi({ description: "Of the contents that the catalogue has under this key: to be compared with one's own file" }),
  md5: z.string(),
  sizeBytes: z.number(),
  cloud: copy.nullable(),
  tape: z.array(copy.extend({ endpoint: z.string() })),
  safe: z.boolean().openapi({ description: 'True when a file with exactly these contents may be deleted elsewhere' }),
  why: z.string().openapi({ description: 'In words, whichever it is' }),
})

export type FileCopies = z.infer<typeof fileCopies>

/** The copies of the contents that an object has now; null when the catalogue does not know the object. */
export type FindCopies = (object: ObjectName) => Promise<FileCopies | null>

const copiesRoute = createRoute({
  method: 'get',
  path: '/api/v1/files/{bucket}/{key}/copies',
  tags: ['Uploads'],
  summary: "Where the copies of a file's contents are, and whether one's own may be deleted",
  security: SECURITY,
  request: {
    params: z.object({
      bucket: z.string().openapi({ description: 'Of the store', example: 'cygno-data' }),
      key: z.string().openapi({ description: 'With its slashes', example: 'LNGS/run12345.mid.gz' }),
    }),
  },
  responses: {
    200: { description: 'The copies', content: { 'application/json': { schema: fileCopies } } },
    ...problems(404),
  },
})

export function registerCopies(api: Api, findCopies: FindCopies): void {
  api.app.openAPIRegistry.registerPath(copiesRoute)
  // The key keeps its slashes, whether they are written as such or as %2F, which some gateways decode.
  addPage(api, 'GET', '/api/v1/files/:bucket/:key{.+}/copies', { right: 'push', tagOf }, async (c) => {
    const object = objectOf(c)
    if (parseRunKey(object.key) === null) throw refusal(404, `"${object.key}" is not the key of a run`)
    const found = await findCopies(object)
    if (found === null) throw refusal(404, `the catalogue does not know ${object.bucket}/${object.key} (yet)`)
    return c.json(found satisfies FileCopies)
  })
}

const objectOf = (c: ApiContext): ObjectName => ({ bucket: c.req.param('bucket') ?? '', key: c.req.param('key') ?? '' })

/** All before the file's name, also of a key that is no run's: who may not see the tag does not learn which. */
const tagOf = (c: ApiContext): string => objectOf(c).key.replace(/\/?[^/]*$/, '')
