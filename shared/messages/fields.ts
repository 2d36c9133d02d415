/** Fields that several messages have. */
import * as z from 'zod'

/** The run, as the identity of run.ts: tag and number together. */
export const runFields = {
  tag: z.string().min(1).describe('site or detector of the run'),
  runNumber: z.int().nonnegative().describe('number of the run within its tag'),
}

export const objectNameFields = {
  bucket: z.string().min(1).describe('bucket of the object'),
  key: z.string().min(1).describe('key of the object, decoded'),
}

export const objectVersionFields = {
  ...objectNameFields,
  etag: z.string().describe('ETag of the version, without quotes'),
  versionId: z.string().nullable().describe('null where the bucket keeps no versions'),
  sizeBytes: z.int().nonnegative().describe('size of the object in bytes'),
}

/** The name of the request: the same cause makes the same name, so that a reader recognises its own work. */
export const requestField = (meaning: string) => ({ request: z.string().min(1).describe(meaning) })
