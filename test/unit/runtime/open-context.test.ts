/** A process opens what its function names, and nothing else. */
import { expect, test } from 'vitest'
import { loadConfig } from '../../../shared/config/config.ts'
import type { Capability } from '../../../shared/context.ts'
import { createLogger } from '../../../shared/log.ts'
import { OPENERS, type Opener, openContext, queues, s3 } from '../../../shared/runtime/open-context.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'

const config = loadConfig({
  CYGNET_DATABASE_URL: 'mysql://nobody:nothing@127.0.0.1:9/none',
  CYGNET_S3_ENDPOINT: 'http://127.0.0.1:9',
  CYGNET_S3_ACCESS_KEY_ID: 'a',
  CYGNET_S3_SECRET_ACCESS_KEY: 'b',
})
const log = createLogger({ function: 'test', level: 'silent' })
const CAPABILITIES = Object.keys(OPENERS) as Capability[]

test('what is not named is not opened', async () => {
  const context = await openContext(config, 'test', [queues, s3], log)
  expect(CAPABILITIES.filter((name) => name in context)).toEqual(['queues', 's3'])
  await context.close()
})

test('each is closed once, the last one first, also when a later one cannot be opened', async () => {
  const closed: string[] = []
  const opener = <Name extends Capability>(name: Name, fails = false): Opener<Name> => ({
    name,
    open() {
      if (fails) throw new Error('no')
      return { value: {} as never, close: () => closed.push(name) }
    },
  })
  const context = await openContext(config, 'test', [opener('database'), opener('s3')], log)
  await context.close()
  expect(closed.splice(0)).toEqual(['s3', 'database'])
  const failing = [opener('database'), opener('queues'), opener('tape', true)]
  await expect(openContext(config, 'test', failing, log)).rejects.toThrow('no')
  expect(closed).toEqual(['queues', 'database'])
})

test('one that cannot be closed is logged, and keeps neither the others nor the end of the process', async () => {
  const recorded = recordingLog()
  const closed: string[] = []
  const database: Opener<'database'> = {
    name: 'database',
    open: () => ({ value: {} as never, close: () => closed.push('database') }),
  }
  const silent: Opener<'queues'> = {
    name: 'queues',
    open: () => ({ value: {} as never, close: () => Promise.reject(new Error('connect ETIMEDOUT')) }),
  }
  const context = await openContext(config, 'test', [database, silent], recorded.log)
  await context.close()
  expect(closed).toEqual(['database'])
  expect(recorded.lines).toEqual([
    expect.objectContaining({ level: 'warn', event: 'not-closed', capability: 'queues' }),
  ])
})
