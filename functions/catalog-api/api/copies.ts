/**
 * The copies of a file, for programs that wait until they may delete their own. Whether they may now is
 * decided in deletions.ts.
 */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import type { ObjectName } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addPage } from '../http/route.ts'
import { FILE_PATH, fileParams, PUSHERS, runFileOf } from './file-in-path.ts'
import { problems, SECURITY } from './problems.ts'

const copy = z.object({
  state: z.string().openapi({ example: 'on-media' }),
  verifiedAt: z.iso.datetime().nullable(),
})

const fileCopies = z.object({
  sha256: z.string().openapi({
    description: 'Of the contents that the catalogue has under this key: compare it with your own file',
  }),
  md5: z.string(),
  sizeBytes: z.number(),
  cloud: copy.nullable(),
  tape: z.array(copy.extend({ endpoint: z.string() })),
  safe: z.boolean().openapi({
    description:
      'True when the copies in the store and on tape are verified. This is not a permission to delete: request one with POST …/deletions',
  }),
  why: z.string().openapi({ description: 'The reason' }),
})

export type FileCopies = z.infer<typeof fileCopies>

/** The copies of an object's current contents; null when the catalogue does not know the object. */
export type FindCopies = (object: ObjectName) => Promise<FileCopies | null>

const copiesRoute = createRoute({
  method: 'get',
  path: '/api/v1/files/{bucket}/{key}/copies',
  tags: ['Uploads'],
  summary: "The copies of a file's contents, according to the catalogue",
  security: SECURITY,
  request: { params: fileParams },
  responses: {
    200: { description: 'The copies', content: { 'application/json': { schema: fileCopies } } },
    ...problems(404),
  },
})

export function registerCopies(api: Api, findCopies: FindCopies): void {
  api.app.openAPIRegistry.registerPath(copiesRoute)
  addPage(api, 'GET', `${FILE_PATH}/copies`, PUSHERS, async (c) => {
    const object = runFileOf(c)
    const found = await findCopies(object)
    if (found === null) throw refusal(404, `the catalogue does not know ${object.bucket}/${object.key} (yet)`)
    return c.json(found satisfies FileCopies)
  })
}
