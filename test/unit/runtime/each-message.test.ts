import type { SQSRecord } from 'aws-lambda'
import { expect, test } from 'vitest'
import { ConflictError, InvalidInputError, TransientError } from '../../../shared/errors.ts'
import { eachMessage } from '../../../shared/runtime/each-message.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'

const format = {
  parse(body: string) {
    if (body === 'bad') throw new InvalidInputError('not a message')
    return { key: body }
  },
  fields: ({ key }: { readonly key: string }) => ({ key }),
}
const running = new AbortController().signal

async function call(
  bodies: readonly string[],
  work: (key: string) => void = () => {},
  signal: AbortSignal = running,
) {
  const { log, lines } = recordingLog()
  const done: string[] = []
  const handler = eachMessage(format, async ({ key }, invocation) => {
    work(key)
    invocation.log.info('worked')
    done.push(key)
  })
  const Records = bodies.map((body, index) => ({ messageId: `m${index}`, body }) as SQSRecord)
  const { batchItemFailures } = await handler({ Records }, { signal, log })
  return { failed: batchItemFailures.map(({ itemIdentifier }) => itemIdentifier), done, lines }
}

test('a message that cannot be parsed is reported, and the others are worked on', async () => {
  const { failed, done, lines } = await call(['a', 'bad', 'c'])
  expect(failed).toEqual(['m1'])
  expect(done).toEqual(['a', 'c'])
  expect(lines).toMatchObject([
    { event: 'worked', message: 'm0', key: 'a' },
    { event: 'message-not-processed', level: 'error', message: 'm1', error: { name: 'InvalidInputError' } },
    { event: 'worked', message: 'm2', key: 'c' },
  ])
})

test('a batch in which no message can be parsed is reported whole', async () => {
  expect(await call(['bad', 'bad'])).toMatchObject({ failed: ['m0', 'm1'], done: [] })
})

test.each([
  ['passes with time is reported as an error', new TransientError('database away'), 'error'],
  ['comes from the lease of another process is reported as information', new ConflictError('leased'), 'info'],
])('a failure of the work that %s, and the message is delivered again', async (_what, error, level) => {
  const { failed, done, lines } = await call(['a', 'b'], (key) => {
    if (key === 'a') throw error
  })
  expect(failed).toEqual(['m0'])
  expect(done).toEqual(['b'])
  expect(lines[0]).toMatchObject({ event: 'message-not-processed', level, key: 'a' })
})

test('after the host stopped no further message is begun: those left are delivered again', async () => {
  const stop = new AbortController()
  const begun: string[] = []
  const { failed } = await call(
    ['a', 'b', 'c'],
    (key) => {
      begun.push(key)
      if (key === 'b') {
        stop.abort(new TransientError('the host stopped'))
        stop.signal.throwIfAborted()
      }
    },
    stop.signal,
  )
  expect(failed).toEqual(['m1', 'm2'])
  expect(begun).toEqual(['a', 'b'])
})
