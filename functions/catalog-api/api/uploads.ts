/** For machines that send runs: where the store is, and signatures for the requests that send a run. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import { tagsOf } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import type { Database } from '../../../shared/database/connect.ts'
import { noRunYet } from '../../../shared/queries/known-tags.ts'
import { parseRunKey } from '../../../shared/run.ts'
import { sdkChecksumsOf } from '../../../shared/storage/client.ts'
import { allowedRequest, type Operation } from '../access/allowed-request.ts'
import { createRequestSigner, storeAddress } from '../access/sign-request.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addRoute, type Rule } from '../http/route.ts'
import { problems, SECURITY } from './problems.ts'

/** The tag is checked for each signed request. */
const RULE: Rule = { right: 'push', anyTag: true }

const fields = z.record(z.string(), z.string())

const settingsRoute = createRoute({
  method: 'get',
  path: '/api/v1/upload-settings',
  tags: ['Uploads'],
  summary: 'Where and how to send runs with this token',
  security: SECURITY,
  responses: {
    200: {
      description: 'Settings of an S3 client; addresses are path-style',
      content: {
        'application/json': {
          schema: z.object({
            endpoint: z.string().openapi({ example: 'https://s3.example.org' }),
            region: z.string().openapi({ example: 'us-east-1' }),
            buckets: z.array(z.string()).openapi({ example: ['cygno-data'] }),
            sdkChecksums: z.enum(['WHEN_SUPPORTED', 'WHEN_REQUIRED']),
            tags: z
              .array(z.string())
              .openapi({ description: 'Tags whose runs may be sent', example: ['LNGS'] }),
            overwriteTags: z
              .array(z.string())
              .openapi({ description: 'Tags whose runs may be replaced', example: [] }),
          }),
        },
      },
    },
    ...problems(),
  },
})

const signRoute = createRoute({
  method: 'post',
  path: '/api/v1/uploads/sign',
  tags: ['Uploads'],
  summary: 'Sign one request to the store',
  security: SECURITY,
  request: {
    body: {
      required: true,
      content: {
        'application/json': {
          schema: z.strictObject({
            method: z.string().max(10).openapi({ example: 'HEAD' }),
            path: z.string().max(4096).openapi({ example: '/cygno-data/LNGS/run12345.mid.gz' }),
            query: fields.default({}),
            headers: fields.default({}),
            newTag: z.boolean().default(false).openapi({
              description: 'The tag is that of a new site, of which the catalogue has no run yet',
            }),
          }),
        },
      },
    },
  },
  responses: {
    200: {
      description: 'Headers to add to the request, which must be sent within 15 minutes',
      content: { 'application/json': { schema: z.object({ headers: fields }) } },
    },
    ...problems(413, 415),
  },
})

export function registerUploads(api: Api, context: Context<'database' | 's3'>): void {
  const { config, database, s3, log, now } = context
  const address = storeAddress(config)
  const sign = createRequestSigner(s3, address)

  addRoute(api, settingsRoute, RULE, (c) => {
    const { scopes } = c.get('caller')
    const settings = {
      endpoint: address.endpoint,
      region: address.region,
      buckets: [...config.store.rawBuckets],
      sdkChecksums: sdkChecksumsOf(config),
      tags: [...tagsOf(scopes, 'push')],
      overwriteTags: [...tagsOf(scopes, 'overwrite')],
    }
    return c.json(settings, 200)
  })

  addRoute(api, signRoute, RULE, async (c) => {
    const { subject, name, scopes } = c.get('caller')
    const { newTag, ...request } = c.req.valid('json')
    const rules = {
      buckets: config.store.rawBuckets,
      scopes,
      host: address.host,
      basePath: address.basePath,
    }
    const { operation, bucket, key } = allowedRequest(request, rules)
    const tag = key === null ? undefined : parseRunKey(key)?.tag
    // A token for this tag alone was made by an operator who named it.
    const isNamed = scopes.some((scope) => scope === `push:${tag}` || scope === `overwrite:${tag}`)
    if (tag !== undefined && BEGINS.has(operation) && !newTag && !isNamed) await refuseNewTag(database, tag)
    const headers = await sign(request, now())
    // Parts and checks are numerous and logged at a lower level than what begins or ends an object.
    const level = operation === 'UploadPart' || operation === 'HeadObject' ? 'debug' : 'info'
    log[level]({ operation, bucket, key, subject, name }, 'upload-signed')
    return c.json({ headers: { ...headers } }, 200)
  })
}

/** The first request of an object. */
const BEGINS: ReadonlySet<Operation> = new Set(['PutObject', 'CreateMultipartUpload'])

/** @throws a 403 problem for a tag that no run has, while others have runs: it may be a mistyped one. */
async function refuseNewTag(database: Database, tag: string): Promise<void> {
  const rows = await database.selectFrom('runs').select('tag').distinct().execute()
  const known = rows.map((row) => row.tag)
  if (known.length === 0 || known.includes(tag)) return
  throw refusal(
    403,
    `${noRunYet(tag, known)}; newTag: true (cygnet push --new-tag) states that this is a new site`,
  )
}
