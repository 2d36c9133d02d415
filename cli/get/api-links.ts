/** Presigned links from the catalogue's API. */
import * as z from 'zod'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import type { RunId } from '../../shared/run.ts'
import type { ApiClient } from '../api/client.ts'
import { requestJson } from '../api/request-json.ts'
import { namesIn, pathOfRun } from '../runs/api-runs.ts'

import type { LinkSource, OfferedFile, OfferedRun } from './link-source.ts'

const named = {
  runNumber: z.int().nonnegative(),
  bucket: z.string(),
  key: z.string(),
  fileName: z.string(),
  sizeBytes: z.int().nonnegative(),
  md5: z.string().regex(/^[0-9a-f]{32}$/),
  adler32: z.string().regex(/^[0-9a-f]{8}$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  warning: z.string().nullable().default(null),
}
const time = z.iso.datetime().transform((text) => new Date(text))
const offered = z.object({
  files: z.array(
    z.discriminatedUnion('kind', [
      z.object({ ...named, kind: z.literal('link'), url: z.url({ protocol: /^https?$/ }), expiresAt: time }),
      z.object({
        ...named,
        kind: z.literal('recalling'),
        state: z.string(),
        requestedAt: time,
        detail: z.string().nullable(),
      }),
      z.object({ ...named, kind: z.literal('on-tape'), how: z.string() }),
      z.object({ ...named, kind: z.literal('unavailable'), why: z.string() }),
    ]),
  ),
  unknown: z.array(z.object({ why: z.string() })).default([]),
})

/** Runs in one request. The API checks every file in the store, so more runs take too long. */
const MOST_RUNS = 100

export function createApiLinks(api: ApiClient): LinkSource {
  let most = MOST_RUNS
  return {
    runsIn: (range, signal) => namesIn(api, range, signal),
    async linksOf({ tag, runNumber }, signal, { seconds, recall = false } = {}) {
      const query = new URLSearchParams(recall ? { recall: 'true' } : {})
      if (seconds !== undefined) query.set('seconds', String(seconds))
      const path = `${pathOfRun({ tag, runNumber })}/links?${query}`
      const { files, unknown } = await requestJson(api, path, offered, signal)
      if (files.length === 0)
        throw new InvalidInputError(unknown[0]?.why ?? `run ${runNumber} of ${tag} has no files`)
      return files satisfies readonly OfferedFile[]
    },
    async linksOfFirst(runs, signal) {
      for (;;) {
        const chosen = firstOf(runs, most)
        try {
          return await linksOfTag(api, chosen, signal)
        } catch (error) {
          // Runs with very many files, or a slow store: the service answers that it cannot finish in time.
          const isOverloaded = error instanceof TransientError && error.details.status === 503
          most = isOverloaded && chosen.length > 1 ? Math.ceil(chosen.length / 10) : MOST_RUNS
          if (most === MOST_RUNS) throw error
        }
      }
    },
  }
}

/** The first runs of one tag: the right to links is per tag. */
function firstOf(runs: readonly [RunId, ...RunId[]], most: number): readonly [RunId, ...RunId[]] {
  const [first, ...others] = runs.slice(0, most) as [RunId, ...RunId[]]
  const end = others.findIndex((run) => run.tag !== first.tag)
  return [first, ...(end < 0 ? others : others.slice(0, end))]
}

async function linksOfTag(
  api: ApiClient,
  runs: readonly [RunId, ...RunId[]],
  signal: AbortSignal,
): Promise<readonly OfferedRun[]> {
  const body = { runs: runs.map(({ tag, runNumber }) => ({ tag, run: runNumber })), check: true }
  const { files } = await requestJson(api, '/api/v1/links', offered, signal, body)
  const filesOf = Map.groupBy(files, ({ runNumber }) => runNumber)
  return runs.map((run) => ({ ...run, files: filesOf.get(run.runNumber) ?? null }))
}
