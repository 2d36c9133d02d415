import { describe, expect, test } from 'vitest'
import { aggregateRun, type FileSummary } from '../../../shared/catalogue/aggregate.ts'

const file = (changes: Partial<FileSummary> = {}): FileSummary => ({
  key: `LNGS/run00005${changes.subrun === undefined || changes.subrun === null ? '' : `sub000${changes.subrun}`}.mid.gz`,
  subrun: null,
  wellNamed: true,
  lastModified: new Date('2026-01-15T08:00:00Z'),
  sizeBytes: 100,
  md5: 'a'.repeat(32),
  integrity: 'verified',
  complete: true,
  problem: null,
  eventCount: 10,
  firstEventAt: new Date('2026-01-15T08:00:00Z'),
  lastEventAt: new Date('2026-01-15T08:01:00Z'),
  startedEpoch: 1000,
  stoppedEpoch: 1060,
  parameters: { run_description: 'first', number_of_events: 10, stop_time: '2026-01-15 09:01:00' },
  ...changes,
})
const unfinished = (subrun: number, changes: Partial<FileSummary> = {}) =>
  file({
    subrun,
    stoppedEpoch: null,
    parameters: { run_description: 'first', number_of_events: null, stop_time: null },
    ...changes,
  })

describe('the summary of a run', () => {
  test('of two complete files of the same part, one that a checksum disputes does not count, however new', () => {
    const disputed = file({
      key: 'LNGS/run00005.mid.lz4',
      integrity: 'mismatch',
      lastModified: new Date('2026-02-01T08:00:00Z'),
    })
    expect(aggregateRun([disputed, file()]).keys).toEqual(['LNGS/run00005.mid.gz'])
    expect(aggregateRun([disputed, file({ complete: false, problem: 'cut' })]).keys).toEqual([disputed.key])
  })

  test('a run of one file has the values of the file', () => {
    const summary = aggregateRun([file()])
    expect(summary).toMatchObject({
      complete: true,
      problem: null,
      fileCount: 1,
      sizeBytes: 100,
      eventCount: 10,
      md5: 'a'.repeat(32),
    })
    expect(aggregateRun([file({ complete: false, problem: 'cut' })])).toMatchObject({
      complete: false,
      problem: 'cut',
    })
    expect(aggregateRun([])).toMatchObject({
      complete: false,
      fileCount: 0,
      keys: [],
      sizeBytes: 0,
      md5: null,
    })
  })

  test('the values of subruns are summed, and the run is complete only if the last one states that it stopped', () => {
    const parts = [
      unfinished(0),
      unfinished(1),
      file({
        subrun: 2,
        parameters: { run_description: 'last', number_of_events: 30, stop_time: '2026-01-15 09:03:00' },
      }),
    ]
    const summary = aggregateRun(parts)
    expect(summary).toMatchObject({
      complete: true,
      problem: null,
      sizeBytes: 300,
      eventCount: 30,
      md5: null,
      stoppedEpoch: 1060,
    })
    expect(summary?.parameters).toMatchObject({
      run_description: 'first',
      number_of_events: 30,
      stop_time: '2026-01-15 09:03:00',
    })
    expect(aggregateRun(parts.slice(0, 2))).toMatchObject({
      complete: false,
      problem: expect.stringContaining('subrun 2 is awaited'),
    })
    expect(aggregateRun([unfinished(0), file({ subrun: 2 })])).toMatchObject({
      complete: false,
      problem: 'subruns missing: 1',
    })
  })

  test('subruns are ordered by number, in whatever order they arrive', () => {
    const parts = Array.from({ length: 12 }, (_, subrun) =>
      subrun === 11 ? file({ subrun }) : unfinished(subrun),
    )
    const summary = aggregateRun(parts)
    expect(aggregateRun(parts.toReversed())).toEqual(summary)
    expect(summary?.complete).toBe(true)
    expect(summary?.keys.at(-1)).toContain('sub00011')
  })

  test('an incomplete subrun makes the run incomplete, and the problem states why', () => {
    expect(
      aggregateRun([
        unfinished(0, { complete: false, problem: 'the gzip stream is cut' }),
        file({ subrun: 1 }),
      ]),
    ).toMatchObject({
      complete: false,
      problem: 'run00005sub0000.mid.gz: the gzip stream is cut',
    })
  })

  test('of the same run under two names only the complete file counts, and the problem states it', () => {
    const cut = file({
      key: 'LNGS/run00005.mid.lz4',
      complete: false,
      problem: 'cut',
      eventCount: 3,
      lastModified: new Date('2026-02-01T00:00:00Z'),
    })
    const summary = aggregateRun([cut, file()])
    expect(summary).toMatchObject({
      complete: true,
      eventCount: 10,
      sizeBytes: 100,
      fileCount: 1,
      keys: ['LNGS/run00005.mid.gz'],
    })
    expect(summary?.problem).toContain('several files')
  })

  test('a file whose name has another number counts only if no other file of the run is there', () => {
    const other = {
      key: 'LNGS/run00017.mid.gz',
      wellNamed: false,
      lastModified: new Date('2026-02-01T00:00:00Z'),
    }
    expect(aggregateRun([file(other)])).toMatchObject({ keys: [other.key], complete: true, problem: null })
    for (const right of [file(), file({ complete: false, problem: 'cut' })])
      for (const files of [
        [right, file(other)],
        [file({ ...other, subrun: 1 }), right],
      ])
        expect(aggregateRun(files)).toMatchObject({
          keys: ['LNGS/run00005.mid.gz'],
          complete: right.complete,
          fileCount: 1,
          eventCount: 10,
          problem: right.problem ?? expect.stringContaining(other.key),
        })
  })

  test('a run as one file and as subruns is incomplete, and the problem states it', () => {
    expect(aggregateRun([file(), file({ subrun: 0 })])).toMatchObject({
      complete: false,
      problem: expect.stringContaining('both as one file and as subruns'),
    })
  })

  test('a run has a mismatch if one checksum disagrees', () => {
    expect(aggregateRun([unfinished(0, { integrity: 'mismatch' }), file({ subrun: 1 })])?.integrity).toBe(
      'mismatch',
    )
    expect(aggregateRun([unfinished(0, { integrity: 'unstated' }), file({ subrun: 1 })])?.integrity).toBe(
      'unstated',
    )
  })
})
