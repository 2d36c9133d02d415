import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgeFile, type Observed, type Surroundings, surroundingsOf } from '../../../../cli/watch/closed.ts'
import { foundFile, observed } from '../../../support/cli/watch/found.ts'

const limits = { idleMs: 900_000, settleMs: 10_000 }
const alone: Surroundings = { siblings: [], hasLater: false, isCompressedHere: false }
const whole = { whole: true } as const
const IDLE = { unchangedMs: 20_000, ageMs: 901_000 }

/** The verdict on each of these files, in the given order. */
function verdicts(files: readonly Observed[], ending: Parameters<typeof judgeFile>[2] = null) {
  const around = surroundingsOf(files)
  return files.map((one) => judgeFile(one, around.get(one.file.name) ?? alone, ending, limits))
}

describe('closed files', () => {
  test('a file is closed when a later run has begun after its last write', () => {
    const files = [
      foundFile('run00007.mid.gz', { begun: 0, written: 100 }),
      foundFile('run00008.mid.gz', { begun: 113, written: 200 }),
    ]
    expect(verdicts(files.map((file) => observed(file)))).toEqual([
      { kind: 'closed', evidence: 'later-run', warning: null },
      { kind: 'undecided' },
    ])
  })

  test('a file is closed when a later file of the same run has begun', () => {
    const files = [
      foundFile('run00007sub0009.mid.lz4', { written: 100 }),
      foundFile('run00007sub0010.mid.lz4', { begun: 100, written: 200 }),
    ]
    expect(verdicts(files.map((file) => observed(file)))[0]).toMatchObject({
      kind: 'closed',
      evidence: 'later-run',
    })
  })

  test('run 99999 is closed when run 100000 exists, whatever the order of their names', () => {
    const files = [
      foundFile('run99999.mid.gz', { written: 100 }),
      foundFile('run100000.mid.gz', { begun: 101, written: 200 }),
    ]
    expect(verdicts(files.map((file) => observed(file)))[0]).toMatchObject({ kind: 'closed' })
  })

  test('a file is closed when it ends like a complete run', () => {
    expect(verdicts([observed(foundFile('run00007.mid'))], whole)).toEqual([
      { kind: 'closed', evidence: 'end-of-run', warning: null },
    ])
    expect(verdicts([observed(foundFile('run00007.mid.gz'))], whole)).toEqual([
      { kind: 'closed', evidence: 'whole', warning: null },
    ])
  })

  test('after a crash a file is closed when it was not written for the idle time, with a warning about its end', () => {
    const crashed = observed(foundFile('run00007.mid'), IDLE)
    expect(verdicts([crashed], { whole: false, doubt: 'it does not end in an end-of-run event' })).toEqual([
      { kind: 'closed', evidence: 'idle', warning: 'it does not end in an end-of-run event' },
    ])
  })

  test('a file with a date in the future is closed by the observed time', () => {
    const odd = { unchangedMs: 900_000, ageMs: -5_000_000 }
    expect(verdicts([observed(foundFile('run00007.mid'), odd)], { whole: false, doubt: null })).toMatchObject(
      [{ kind: 'closed' }],
    )
  })
})

describe('open files', () => {
  test('a file is not closed by a higher number that began before its last write: the numbers were restarted, or an old run was copied in', () => {
    const files = [
      foundFile('run00007.mid.gz', { begun: 500, written: 900 }),
      foundFile('run00008.mid.gz', { begun: 300, written: 950 }),
    ]
    expect(verdicts(files.map((file) => observed(file)))[0]).toEqual({ kind: 'undecided' })
  })

  test('a file that is not idle and does not end like a complete run stays open', () => {
    expect(verdicts([observed(foundFile('run00007.mid'))], { whole: false, doubt: 'x' })).toMatchObject([
      { kind: 'open' },
    ])
  })

  test('a file that is being compressed stays open, and so does its result; a .mid among compressed runs waits', () => {
    const pair = [
      observed(foundFile('run00007.mid', { written: 10 })),
      observed(foundFile('run00007.mid.gz', { written: 20 })),
    ]
    const later = observed(foundFile('run00008.mid', { begun: 30, written: 40 }))
    expect(verdicts([...pair, later], whole)).toMatchObject([
      { kind: 'open', reason: 'it is being compressed into run00007.mid.gz' },
      { kind: 'open', reason: 'run00007.mid is still being compressed into it' },
      { kind: 'open', reason: 'it waits for its compression: the folder has compressed runs' },
    ])
  })

  test('a file stays open while its compressor has the other file open, however slow it is', () => {
    const mid = observed(foundFile('run00007.mid'), { ...IDLE, ageMs: 9e6 })
    const gz = observed(foundFile('run00007.mid.gz'), { ...IDLE, writer: 'gzip (process 5)' })
    expect(verdicts([mid, gz], whole).map(({ kind: is }) => is)).toEqual(['open', 'open'])
  })
})

test('after the death of a compressor the .mid is the run and its .gz is not sent', () => {
  const [mid, gz] = [observed(foundFile('run00007.mid'), IDLE), observed(foundFile('run00007.mid.gz'), IDLE)]
  expect(verdicts([mid, gz], whole)).toEqual([
    { kind: 'closed', evidence: 'end-of-run', warning: null },
    {
      kind: 'left',
      reason: 'run00007.mid is the run, and its compression was not finished',
    },
  ])
})

test('a .mid that was unpacked from a .gz in the store is not sent', () => {
  const [mid, gz] = [
    observed(foundFile('run00007.mid'), IDLE),
    observed(foundFile('run00007.mid.gz'), { ...IDLE, isInStore: true }),
  ]
  expect(verdicts([mid, gz], whole)[0]).toEqual({
    kind: 'left',
    reason: 'run00007.mid.gz is the same run, and is in the store',
  })
})

test('a .mid that is never compressed is sent as it is in the end, also among compressed runs', () => {
  const files = [
    observed(foundFile('run00006.mid.gz')),
    observed(foundFile('run00007.mid', { written: 2000 }), IDLE),
  ]
  expect(verdicts(files, whole)[1]).toMatchObject({ kind: 'closed' })
})

test('a file that is open for writing or changed a moment ago is never closed, whatever the other evidence', () => {
  const milliseconds = fc.integer({ min: -1e9, max: 1e9 })
  const surroundings = fc.record({
    siblings: fc.constant([]),
    hasLater: fc.boolean(),
    isCompressedHere: fc.boolean(),
  })
  const ending = fc.constantFrom(null, whole, { whole: false, doubt: 'x' } as const)
  fc.assert(
    fc.property(
      milliseconds,
      fc.boolean(),
      surroundings,
      ending,
      fc.constantFrom('run1.mid', 'run1.mid.gz'),
      (ageMs, isNew, around, end, name) => {
        const file = foundFile(name)
        const busy = isNew
          ? observed(file, { ageMs, unchangedMs: 9_999 })
          : observed(file, { ageMs, writer: 'mlogger (process 3)' })
        expect(judgeFile(busy, around, end, limits).kind).toBe('open')
      },
    ),
  )
})
