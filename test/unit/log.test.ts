import { describe, expect, test, vi } from 'vitest'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { createLogger, withoutSecrets } from '../../shared/log.ts'

function recorded(work: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = []
  work(createLogger({ function: 'f', level: 'info', destination: { write: (line) => lines.push(line) } }))
  return lines.map((line) => JSON.parse(line))
}

describe('equal errors, as every message and request meets them while the database is down', () => {
  const refused = () => new TransientError('connect ECONNREFUSED 127.0.0.1:3306')

  test('are written ten times a minute, and then counted in one line', () => {
    vi.useFakeTimers()
    const lines = recorded((log) => {
      for (let run = 1; run <= 2_000; run++) log.child({ run }).error({ error: refused() }, 'message-failed')
      vi.advanceTimersByTime(60_000)
      log.error({ error: refused() }, 'message-failed')
    })
    vi.useRealTimers()
    expect(lines).toHaveLength(12)
    expect(lines[10]).toMatchObject({ event: 'message-failed', level: 'error', repeated: 1_990 })
    expect(lines[11]).not.toHaveProperty('repeated')
  })

  test('do not hide other errors, other events, or lines without an error', () => {
    const lines = recorded((log) => {
      for (let run = 1; run <= 100; run++) {
        log.error({ error: refused() }, 'message-failed')
        log.error({ error: new TransientError(`run ${run} has no object`) }, 'message-failed')
        log.warn({ run, reason: 'the file is empty' }, 'run-invalid')
      }
      log.error({ error: refused() }, 'call-failed')
    })
    expect(lines).toHaveLength(10 + 100 + 100 + 1)
  })
})

describe('a log line', () => {
  test('is one JSON object with a fixed name and fields', () => {
    const [line] = recorded((log) => log.info({ run: 12345, tag: 'LNGS', ms: 12 }, 'run-catalogued'))
    expect(line).toMatchObject({
      level: 'info',
      function: 'f',
      event: 'run-catalogued',
      run: 12345,
      tag: 'LNGS',
      ms: 12,
      time: expect.stringMatching(/Z$/),
    })
  })

  test('carries an error as its kind, sentence, details and first cause', () => {
    const error = new InvalidInputError('not a MIDAS file', { offset: 16 }, { cause: new Error('why') })
    expect(recorded((log) => log.error({ error }, 'x'))[0]?.error).toEqual({
      name: 'InvalidInputError',
      message: 'not a MIDAS file',
      details: { offset: 16 },
      cause: 'Error: why',
    })
  })

  test('never shows a secret, in fields or in error texts', () => {
    const lines = recorded((log) => {
      log.info({ token: 'hush', request: { authorization: 'Bearer hush', secretAccessKey: 'hush' } }, 'x')
      log.error(
        { error: new Error('connect mysql://cygnet:hush@db/x failed; Bearer hush; ?X-Amz-Signature=hush') },
        'y',
      )
    })
    expect(JSON.stringify(lines)).not.toContain('hush')
    expect(withoutSecrets('s3://bucket/key?prefix=a')).toBe('s3://bucket/key?prefix=a')
  })
})
