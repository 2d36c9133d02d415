/** The whole stack in a temporary folder, and the CLI for it, as for a user. */
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import type { Extra } from '../../infra/local/setup.ts'
import { type Stack, startStack } from '../../infra/local/stack.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { loadConfig } from '../../shared/config/config.ts'
import type { Context } from '../../shared/context.ts'
import { passesWithTime } from '../../shared/errors.ts'
import { createLogger } from '../../shared/log.ts'
import { database, openContext, queues, s3 } from '../../shared/runtime/open-context.ts'
import { LONGEST_WAIT_MS } from './waiting.ts'

const CYGNET = fileURLToPath(new URL('../../cli/cygnet', import.meta.url))

export interface TestStack extends Stack {
  readonly folder: string
  readonly context: Context<'database' | 'queues' | 's3'>
  readonly bucket: string
  put(key: string, body: Uint8Array): Promise<void>
  /** Runs the command; never throws for its exit code. */
  cygnet(
    ...args: readonly string[]
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>
  close(): Promise<void>
}

export async function startTestStack(
  options: {
    readonly notifications?: boolean
    readonly extras?: readonly Extra[]
    readonly environment?: Record<string, string>
  } = {},
): Promise<TestStack> {
  const folder = temporaryFolder()
  const stack = await startStack({
    dataFolder: folder,
    extras: options.extras ?? [],
    notifications: options.notifications ?? true,
    fast: true,
    signal: new AbortController().signal,
    environment: options.environment ?? {},
  })
  const context = await openContext(
    loadConfig(stack.environment),
    'test',
    [database, queues, s3],
    createLogger({ function: 'test', level: 'silent' }),
  )
  const bucket = context.config.store.rawBuckets[0] ?? ''
  return {
    ...stack,
    folder,
    context,
    bucket,
    async put(key, body) {
      await context.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }))
    },
    cygnet: (...args) =>
      new Promise((resolve) => {
        execFile(
          CYGNET,
          args,
          { env: { PATH: '/usr/bin:/bin', CYGNET_FOLDER: folder }, maxBuffer: 64 * 1024 * 1024 },
          (error, stdout, stderr) => {
            const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
            resolve({ code, stdout, stderr })
          },
        )
      }),
    async close() {
      await context.close()
      await stack.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * Repeats the request, also through outages, until the answer is not null; fails with `what` when it remains null.
 */
export async function eventually<T>(
  what: string | (() => Promise<string>),
  ask: () => Promise<T | null | undefined | false>,
  limitMs = LONGEST_WAIT_MS,
): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    const answer = await ask().catch((error: unknown) => {
      if (passesWithTime(error)) return null
      throw error
    })
    if (answer !== null && answer !== undefined && answer !== false) return answer
    if (performance.now() > end)
      throw new Error(`not within ${limitMs / 1000} s: ${typeof what === 'string' ? what : await what()}`)
    await sleep(50)
  }
}
