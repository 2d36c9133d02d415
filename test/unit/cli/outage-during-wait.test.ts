/** Waits of hours outlive an outage of the API. */
import { expect, test, vi } from 'vitest'
import { duringWait } from '../../../cli/api/during-wait.ts'
import { getRuns } from '../../../cli/get/get-runs.ts'
import type { LinkSource } from '../../../cli/get/link-source.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'

vi.spyOn(process.stderr, 'write').mockReturnValue(true)
const outage = () => new TransientError('the API cannot be reached: ECONNREFUSED')

test('a request of a wait is repeated for as long as the API is away', async () => {
  let requests = 0
  const request = async () => {
    if (++requests < 20) throw outage()
    return 'answer'
  }
  expect(await duringWait(request, 1, new AbortController().signal)).toBe('answer')
})

test('a refusal ends the wait, and so does an interruption', async () => {
  const refuse = async () => {
    throw new InvalidInputError('not allowed')
  }
  await expect(duringWait(refuse, 1, new AbortController().signal)).rejects.toThrow('not allowed')
  const stop = new AbortController()
  const fail = async () => {
    stop.abort()
    throw outage()
  }
  await expect(duringWait(fail, 1, stop.signal)).rejects.toThrow('cannot be reached')
})

test('an outage of the API while files are being recalled ends the wait of no run', async () => {
  const recalling = (runNumber: number) => ({
    kind: 'recalling' as const,
    runNumber,
    bucket: 'cygno-data',
    key: `LNGS/run0${runNumber}.mid.gz`,
    fileName: `run0${runNumber}.mid.gz`,
    sizeBytes: 5,
    md5: '0'.repeat(32),
    adler32: '0'.repeat(8),
    sha256: '0'.repeat(64),
    warning: null,
    state: 'staging' as const,
    requestedAt: new Date(0),
    detail: null,
  })
  let requests = 0
  const source = {
    runsIn: async () => [],
    linksOf: () => Promise.reject(new Error('not used')),
    async linksOfFirst(runs: readonly { readonly tag: string; readonly runNumber: number }[]) {
      requests++
      if (requests >= 3 && requests < 10) throw outage()
      return runs.map((run) => ({ ...run, files: [recalling(run.runNumber)] }))
    },
  } as unknown as LinkSource
  const stop = new AbortController()
  let rounds = 0
  const results: (string | null)[] = []
  const runs = [1, 2].map((runNumber) => ({ tag: 'LNGS', runNumber }))
  for await (const { state } of getRuns(source, runs, {
    folder: temporaryFolder(),
    recall: true,
    waitUntil: new Date(1e7),
    pollMs: 1,
    onWaiting: () => {
      if (++rounds === 10) stop.abort()
    },
    now: () => new Date(0),
    signal: stop.signal,
    fetchRange: () => Promise.reject(new Error('not used')),
    concurrency: 1,
    pieceBytes: 1,
    retryPolicy: { attempts: 1, firstPauseMs: 1 },
    onProgress: () => {},
  } as unknown as Parameters<typeof getRuns>[2]))
    results.push(state)
  expect(results).not.toContain('failed')
  expect(requests).toBeGreaterThan(10)
})
