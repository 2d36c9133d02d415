/** Schemas of requests and answers about links, for the OpenAPI document. */
import { z } from '@hono/zod-openapi'
import { isTag } from '../../../shared/run.ts'
import { LONGEST_LINK_SECONDS } from '../../../shared/storage/links.ts'
import { LIST_COMMANDS, LIST_FORMATS } from './link-lists.ts'
import { runNumber } from './run-params.ts'

export const MOST_LINKS = 1000
const LONGEST_RECALL_DAYS = 366

const FORMAT = `json, or a list for a program, in which a disputed file has no link: ${LIST_FORMATS.map((format) => LIST_COMMANDS[format]).join(', ')}`
const RECALL = 'Recall files that are only on tape; needs the right to recall'

const ABOUT_SECONDS = {
  description:
    'Requested validity. `expiresAt` states the actual end: a limit of the service, or the end of its own credentials, may be earlier',
  example: 3600,
}
const seconds = z.int().min(1).max(LONGEST_LINK_SECONDS).openapi(ABOUT_SECONDS)

const yes = (description: string) =>
  z
    .enum(['true', 'false', '1', '0'])
    .transform((value) => value === 'true' || value === '1')
    .openapi({ description, type: 'boolean' })
    .optional()

export const linksQuery = z.strictObject({
  seconds: z
    .string()
    .regex(/^\d{1,7}$/, 'expected a number of seconds')
    .transform(Number)
    .pipe(seconds)
    .openapi({ ...ABOUT_SECONDS, type: 'integer', minimum: 1, maximum: LONGEST_LINK_SECONDS })
    .optional(),
  recall: yes(RECALL),
  format: z
    .enum(['json', ...LIST_FORMATS])
    .openapi({ description: FORMAT })
    .optional(),
  partial: yes('For lists: omit files without a link instead of refusing'),
})

const file = { bucket: z.string().min(1).max(255), key: z.string().min(1).max(1024) }

export const linksRequest = z
  .strictObject({
    runs: z
      .array(z.strictObject({ tag: z.string().refine(isTag, 'not a tag, such as LNGS'), run: runNumber }))
      .max(MOST_LINKS)
      .default([]),
    files: z.array(z.strictObject(file)).max(MOST_LINKS).default([]),
    seconds: seconds.optional(),
    recall: z.boolean().default(false).openapi({ description: RECALL }),
    check: z.boolean().default(false).openapi({
      description:
        'Check every object in the store first, which takes some milliseconds each. Otherwise links are made from the catalogue alone',
    }),
    format: z
      .enum(['json', ...LIST_FORMATS])
      .default('json')
      .openapi({ description: FORMAT }),
    partial: z
      .boolean()
      .default(false)
      .openapi({ description: 'For lists: omit files without a link instead of refusing' }),
  })
  .refine(({ runs, files }) => runs.length + files.length >= 1, 'name at least one run or file')
  .refine(
    ({ runs, files }) => runs.length + files.length <= MOST_LINKS,
    `at most ${MOST_LINKS} runs and files at once`,
  )
  .openapi('LinksRequest', { example: { runs: [{ tag: 'LNGS', run: 12345 }], seconds: 3600 } })

const time = z.iso.datetime().openapi({ example: '2026-01-15T09:00:00.000Z' })

const linked = {
  tag: z.string().openapi({ example: 'LNGS' }),
  runNumber,
  bucket: z.string().openapi({ example: 'cygno-data' }),
  key: z.string().openapi({ example: 'LNGS/run12345.mid.gz' }),
  fileName: z.string().openapi({ example: 'run12345.mid.gz' }),
  sizeBytes: z.int().openapi({ example: 412_345_678 }),
  md5: z.string().openapi({ example: '5e381ab5567ed21ee91ca265529638f9' }),
  adler32: z.string().openapi({ example: 'eecd4b5e' }),
  sha256: z.string().openapi({ example: 'ee38138ed6101db8a1aff3cf36a19e50356b09ac4a11a82c8299e7762c4b185b' }),
  warning: z.string().nullable().openapi({
    description:
      'Why the file should be used with care, after its name: incomplete, disputed, unconfirmed, suspicious',
    example: null,
  }),
  disputed: z.boolean().openapi({ description: 'Its bytes differ from a checksum stated for them' }),
}
const url = z
  .url()
  .openapi({ example: 'https://s3.example.org/cygno-data/LNGS/run12345.mid.gz?X-Amz-Signature=…' })

const fileLink = z
  .discriminatedUnion('kind', [
    z.strictObject({ ...linked, kind: z.literal('link'), url, expiresAt: time }),
    z.strictObject({
      ...linked,
      kind: z.literal('recalling'),
      state: z.string(),
      requestedAt: time,
      detail: z.string().nullable(),
    }),
    z.strictObject({ ...linked, kind: z.literal('on-tape'), how: z.string() }),
    z.strictObject({ ...linked, kind: z.literal('unavailable'), why: z.string() }),
  ])
  .openapi('FileLink', {
    description:
      'A valid link, or why there is none and how to obtain one. Checksums are lower-case hexadecimal',
  })

export const linksAnswer = z
  .strictObject({
    files: z.array(fileLink),
    unknown: z
      .array(
        z.union([
          z.strictObject({ tag: z.string(), run: runNumber, why: z.string() }),
          z.strictObject({ ...file, why: z.string() }),
        ]),
      )
      .openapi({ description: 'Requested runs and files without a link, with the reason' }),
  })
  .openapi('Links')

export const recallDays = z
  .int()
  .min(1)
  .max(LONGEST_RECALL_DAYS)
  .optional()
  .openapi({ description: 'How long the file stays in the store', example: 7 })

export const exceed = z.boolean().default(false).openapi({
  description: 'Exceed the budgets and the room in the store; needs the right to operate',
})

export const recallRequest = z.strictObject({ days: recallDays, exceed }).openapi('RecallRequest')

export const recallAnswer = z
  .strictObject({
    tag: z.string(),
    runNumber,
    files: z.array(
      z.strictObject({
        replicaId: z.int(),
        bucket: z.string(),
        key: z.string(),
        sizeBytes: z.int(),
        alreadyThere: z
          .boolean()
          .openapi({ description: 'The file is in the store, and stays there at least until `expiresAt`' }),
        state: z.string(),
        requestedAt: time,
        expiresAt: time.openapi({ description: 'Preliminary until the file has arrived' }),
      }),
    ),
  })
  .openapi('Recall')
