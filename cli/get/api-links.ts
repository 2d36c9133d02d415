/** Links from the catalogue's API: no credentials of the catalogue or the store are needed. */
import * as z from 'zod'
import { InvalidInputError } from '../../shared/errors.ts'
import { askJson } from '../api-answer.ts'
import type { ApiClient } from '../api-client.ts'
import { namesIn } from '../runs/api-runs.ts'
import type { LinkSource, OfferedFile } from './link-source.ts'

const named = {
  bucket: z.string(),
  key: z.string(),
  fileName: z.string(),
  sizeBytes: z.int().nonnegative(),
  md5: z.string().regex(/^[0-9a-f]{32}$/),
  adler32: z.string().regex(/^[0-9a-f]{8}$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
}
const time = z.iso.datetime().transform((text) => new Date(text))
const offered = z.object({
  files: z.array(
    z.discriminatedUnion('kind', [
      z.object({ ...named, kind: z.literal('link'), url: z.url({ protocol: /^https?$/ }), expiresAt: time }),
      z.object({ ...named, kind: z.literal('recalling'), state: z.string(), requestedAt: time, detail: z.string().nullable() }),
      z.object({ ...named, kind: z.literal('on-tape'), how: z.string() }),
      z.object({ ...named, kind: z.literal('unavailable'), why: z.string() }),
    ]),
  ),
  unknown: z.array(z.object({ why: z.string() })).default([]),
})

export function createApiLinks(api: ApiClient): LinkSource {
  return {
    runsIn: (range, signal) => namesIn(api, range, signal),
    async linksOf({ tag, runNumber }, signal, { seconds, recall = false } = {}) {
      const query = new URLSearchParams(recall ? { recall: 'true' } : {})
      if (seconds !== undefined) query.set('seconds', String(seconds))
      const path = `/api/v1/runs/${encodeURIComponent(tag)}/${runNumber}/links?${query}`
      const { files, unknown } = await askJson(api, path, offered, signal)
      if (files.length === 0) throw new InvalidInputError(unknown[0]?.why ?? `run ${runNumber} of ${tag} has no files`)
      return files satisfies readonly OfferedFile[]
    },
    async close() {},
  }
}
