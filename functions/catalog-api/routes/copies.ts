/** Where the copies of a file are, for who asks whether its own may be deleted. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import { parseRunKey } from '../../../shared/notifications/run-key.ts'
import type { ObjectName } from '../../../shared/storage/objects.ts'
import { refusal } from '../problem.ts'
import { type Api, type ApiContext, addPage } from '../route.ts'

const copy = z.object({ state: z.string(), verifiedAt: z.iso.datetime().nullable() })

const fileCopies = z.object({
  /** Of the contents that the catalogue has under this key: to be compared with one's own file. */
  sha256: z.string(),
  md5: z.string(),
  sizeBytes: z.number(),
  cloud: copy.nullable(),
  tape: z.array(copy.extend({ endpoint: z.string() })),
  /** True when a file with exactly these contents may be deleted elsewhere. */
  safe: z.boolean(),
  /** In words, whichever it is. */
  why: z.string(),
})

export type FileCopies = z.infer<typeof fileCopies>

/** The copies of the contents that an object has now; null when the catalogue does not know the object. */
export type FindCopies = (object: ObjectName) => Promise<FileCopies | null>

const copiesRoute = createRoute({
  method: 'get',
  path: '/api/v1/files/{bucket}/{key}/copies',
  summary: "Where the copies of a file's contents are, and whether one's own may be deleted",
  security: [{ token: [] }],
  request: { params: z.object({ bucket: z.string(), key: z.string() }) },
  responses: {
    200: { description: 'The copies', content: { 'application/json': { schema: fileCopies } } },
    404: { description: 'The catalogue does not know this file (yet)' },
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
