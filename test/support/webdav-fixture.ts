/** A driver on a small endpoint, with short waits, and a store whose links the endpoint follows. */
import { randomBytes } from 'node:crypto'
import { TransientError } from '../../shared/errors.ts'
import type { CopyResult, TapeDriver, TapeFile } from '../../shared/tape/driver.ts'
import { createWebdavDriver, type WebdavOptions } from '../../shared/tape/webdav/webdav.ts'
import { tapeFileOf } from './tape/files.ts'
import { type SourceServer, startSourceServer } from './tape/sources.ts'
import { LONGEST_WAIT_SECONDS } from './waiting.ts'
import { startWebdavServer, type WebdavServer } from './webdav-server.ts'

export interface WebdavFixture {
  readonly server: WebdavServer
  readonly store: SourceServer
  readonly driver: TapeDriver
  /** Tokens that were called refused. */
  readonly refused: string[]
  /** What the driver takes for the time, milliseconds. */
  clock: { ms: number }
  /** Copies a file of random bytes. */
  copy(bytes?: Buffer, file?: TapeFile, signal?: AbortSignal): Promise<CopyResult>
  /** The temporaries that are at the endpoint. */
  temporaries(): string[]
  /** How many requests with this method came. */
  count(method: string): number
  close(): Promise<void>
}

export const never = new AbortController().signal
export const BYTES = randomBytes(300_000)

/** @param on another fixture, whose endpoint is used with other options. */
export async function startWebdavFixture(
  options: Partial<WebdavOptions> = {},
  on?: WebdavFixture,
): Promise<WebdavFixture> {
  const [server, store] = await Promise.all([
    on?.server ?? startWebdavServer(),
    on?.store ?? startSourceServer(),
  ])
  const refused: string[] = []
  const clock = { ms: 0 }
  const driver = createWebdavDriver({
    rootUrl: server.url,
    token: {
      token: async () => (refused.length === 0 ? 'first-token' : 'fresh-token'),
      refused: (token) => void refused.push(token),
    },
    thirdParty: 'auto',
    tapeRest: 'never',
    copySeconds: LONGEST_WAIT_SECONDS,
    now: () => clock.ms,
    ...options,
    limits: {
      silenceSeconds: LONGEST_WAIT_SECONDS,
      progressSeconds: 60,
      settleSeconds: 0.05,
      withoutThirdPartySeconds: 600,
      ...options.limits,
    },
  })
  return {
    server,
    store,
    driver,
    refused,
    clock,
    async copy(bytes = BYTES, file, signal = never) {
      const asked = file ?? (await tapeFileOf(bytes))
      return await driver.copy(asked, store.source(asked.name, bytes), { attempt: 1 }, signal)
    },
    temporaries: () => [...server.files.keys()].filter((name) => name.endsWith('.part')),
    count: (method) => server.log.filter((line) => line.startsWith(`${method} `)).length,
    async close() {
      await driver.close()
      await Promise.all([server.close(), store.close()])
    },
  }
}

/** The error of work that must fail: a TransientError without anything of a link or token in it. */
export async function transientOf(work: Promise<unknown>): Promise<TransientError> {
  const error = await work.then(
    (value) => new Error(`it did not fail: ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof TransientError)) throw error
  const text = `${error.message} ${JSON.stringify(error.details)}`
  if (/X-Amz-Signature=secret|object=\d|-token/.test(text)) throw new Error(`a secret is in: ${text}`)
  return error
}
