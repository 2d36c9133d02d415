/** Links from the catalogue's API: no credentials of the catalogue or the store are needed. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { CygnetError, InvalidInputError, TransientError } from '../../shared/errors.ts'
import { isTag } from '../../shared/notifications/run-key.ts'
import type { ApiClient } from '../api-client.ts'
import type { LinkSource, OfferedFile, RunName } from './link-source.ts'

const runName = z.object({ tag: z.string().refine(isTag), runNumber: z.int().nonnegative() })

const named = {
  fileName: z.string(),
  sizeBytes: z.int().nonnegative(),
  md5: z.string().regex(/^[0-9a-f]{32}$/),
  adler32: z.string().regex(/^[0-9a-f]{8}$/),
}
const time = z.iso.datetime().transform((text) => new Date(text))
const offered = z.object({
  files: z.array(
    z.discriminatedUnion('kind', [
      z.object({ ...named, kind: z.literal('link'), url: z.url({ protocol: /^https?$/ }), expiresAt: time }),
      z.object({ ...named, kind: z.literal('recalling'), state: z.string(), detail: z.string().nullable() }),
      z.object({ ...named, kind: z.literal('on-tape'), how: z.string() }),
      z.object({ ...named, kind: z.literal('unavailable'), why: z.string() }),
    ]),
  ),
  unknown: z.array(z.object({ why: z.string() })).default([]),
})

export function createApiLinks(api: ApiClient): LinkSource {
  return {
    async runsIn({ from, to, tag }, signal) {
      const query = new URLSearchParams({ from: String(from), to: String(to), sort: 'run', format: 'ndjson', fields: 'tag,runNumber' })
      if (tag !== undefined) query.set('tag', tag)
      const text = await ask(api, `/api/v1/runs?${query}`, signal)
      const runs = text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => checked(runName, line))
      return runs.toSorted((a, b) => (a.tag === b.tag ? a.runNumber - b.runNumber : a.tag < b.tag ? -1 : 1))
    },
    async linksOf({ tag, runNumber }: RunName, signal) {
      const text = await ask(api, `/api/v1/runs/${encodeURIComponent(tag)}/${runNumber}/links`, signal)
      const { files, unknown } = checked(offered, text)
      if (files.length === 0) throw new InvalidInputError(unknown[0]?.why ?? `run ${runNumber} of ${tag} has no files`)
      return files satisfies readonly OfferedFile[]
    },
    async close() {},
  }
}

const ATTEMPTS = 4
const FIRST_PAUSE_MS = 500
const ANSWER_SECONDS = 60

/** The text of a good answer; patient with outages. */
async function ask(api: ApiClient, path: string, signal: AbortSignal): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await askOnce(api, path, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (attempt >= ATTEMPTS || !(error instanceof TransientError)) throw error
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2), undefined, { signal })
    }
  }
}

async function askOnce(api: ApiClient, path: string, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.timeout(ANSWER_SECONDS * 1000)
  try {
    const answer = await api.fetch(path, { signal: AbortSignal.any([signal, limit]) })
    const text = await answer.text()
    if (answer.ok) return text
    const detail = problemOf(text) ?? `status ${answer.status}`
    if (answer.status === 429 || answer.status >= 500) throw new TransientError(`the API cannot answer now: ${detail}`)
    throw new InvalidInputError(`the API refuses this: ${detail}`)
  } catch (error) {
    if (error instanceof CygnetError) throw error
    signal.throwIfAborted()
    const what = limit.aborted ? `did not answer within ${ANSWER_SECONDS} s` : 'broke off its answer'
    throw new TransientError(`the API ${what}`, {}, { cause: error })
  }
}

const problem = z.object({ detail: z.string() })
const problemOf = (text: string): string | undefined => problem.safeParse(parsed(text)).data?.detail

/** A wrong address, or a network's own sign-in page in between. */
function checked<T>(schema: z.ZodType<T>, text: string): T {
  const result = schema.safeParse(parsed(text))
  if (result.success) return result.data
  throw new InvalidInputError('what answers there is not the API of the catalogue')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
