import { appendFileSync, mkdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { runFileBytes } from '../../../../cli/simulate/write.ts'
import type { SafetyPort } from '../../../../cli/watch/safety.ts'
import { digest, MIB } from '../../../support/cli/push/fixture.ts'
import { createStillClock, createWatchFixture } from '../../../support/cli/watch/fixture.ts'
import { LONGEST_WAIT_MS, until } from '../../../support/waiting.ts'

const fixture = await createWatchFixture()
afterAll(() => fixture.close())
const { watch, runFile, newFolder, content } = fixture

const HOUR_S = 3600
/** The reports of a catalogue that ignores them. */
const noReports = {
  endRemoval: async () => {},
  reportPresent: async () => false,
  reportVanished: async () => false,
}
const ONCE = { once: true, limits: { idleMs: 900_000, settleMs: 5 } } as const
/** Files are closed after a second here, a minute of the watch. */
const QUICK = { limits: { idleMs: 60_000, settleMs: 6_000 } } as const
/** Numbers that no other test uses. */
let lastRun = 200
const nextRun = () => String(++lastRun).padStart(5, '0')
/** Longer than a file must be unchanged, and shorter than the idle time. */
const SETTLED_MS = 7_000
const MOMENT_AGO = 'it appeared or was written only a moment ago'
const MAYBE_WRITTEN = 'it may still be written: no later run, no end of run'
const isInStore = async (name: string) => (await content(`LNGS/${name}`)) !== null

describe('runs of a folder', () => {
  test('all runs of a folder are sent, with numbers of five, six and seven digits; the newest and the oldest first', async () => {
    const folder = newFolder()
    const numbers = [
      ...Array.from({ length: 70 }, (_, i) => 99_930 + i),
      ...Array.from({ length: 60 }, (_, i) => 100_000 + i),
      ...Array.from({ length: 20 }, (_, i) => 1_000_000 + i),
    ]
    const names = numbers.map((number) => `run${number}.mid.gz`)
    for (const [index, name] of names.entries())
      runFile(folder, name, `content of ${name}`, HOUR_S * 10 - index * 60)
    const { done, pushed, network } = watch(folder, ONCE)
    // The first waits for the second: both are in progress at the same time, whichever ends first.
    const first: (string | undefined)[] = []
    const { promise: both, resolve } = Promise.withResolvers<void>()
    network.beforeRequest = async (command, key) => {
      if (command !== 'PutObjectCommand') return
      if (first.length < 2 && first.push(key) === 2) resolve()
      await both
    }
    expect((await done)?.files).toEqual([])
    expect(pushed().toSorted()).toEqual(names.toSorted())
    expect(first.toSorted()).toEqual(['LNGS/run1000019.mid.gz', 'LNGS/run99930.mid.gz'])
    for (const name of ['run99999.mid.gz', 'run100000.mid.gz', 'run1000000.mid.gz'])
      expect((await content(`LNGS/${name}`))?.toString()).toBe(`content of ${name}`)
  })

  test('runs are sent when the DAQ closes them, not earlier', async () => {
    const folder = newFolder()
    const name = `run${nextRun()}.mid`
    const bytes = Buffer.from(
      await runFileBytes({ camera: 32, digitizers: false, events: 20 }, null, { compression: 'none' }),
    )
    const { clock, pass } = createStillClock()
    const watching = watch(folder, {}, { clock })
    const path = join(folder, name)
    const step = Math.ceil(bytes.length / 12)
    for (let end = step; ; end += step) {
      appendFileSync(path, bytes.subarray(end - step, end))
      const isSeen = () =>
        watching.lastPending()?.bytes === Math.min(end, bytes.length) &&
        watching.reason(name) !== MAYBE_WRITTEN
      await until(isSeen)
      expect(watching.of('file-closed')).toEqual([])
      pass(SETTLED_MS)
      if (end >= bytes.length) break
      await until(() => watching.reason(name) === MAYBE_WRITTEN)
      expect(watching.of('file-closed')).toEqual([])
    }
    await until(() => watching.pushed().includes(name))
    expect(watching.of('file-closed')).toMatchObject([{ evidence: 'end-of-run', warning: null }])
    expect((await content(`LNGS/${name}`))?.equals(bytes)).toBe(true)
    await watching.end()
  })

  test('runs of a crashed DAQ are sent as they are in the end, with a warning', async () => {
    const folder = newFolder()
    const [crashed, cut] = [`run${nextRun()}.mid`, `run${nextRun()}.mid.gz`]
    runFile(
      folder,
      crashed,
      await runFileBytes({ camera: 32, digitizers: false, fault: 'crash' }, null, { compression: 'none' }),
      2 * HOUR_S,
    )
    const whole = await runFileBytes({ camera: 32, digitizers: false }, null, { compression: 'gzip' })
    runFile(folder, cut, whole.subarray(0, -9), HOUR_S)
    const watching = watch(folder, ONCE)
    expect((await watching.done)?.files).toEqual([])
    expect(
      watching.of('file-closed').map(({ file, evidence, warning }) => [file.name, evidence, warning]),
    ).toEqual([
      [crashed, 'later-run', null],
      [cut, 'idle', 'its compressed data end in the middle'],
    ])
    expect(await isInStore(crashed)).toBe(true)
    expect((await content(`LNGS/${cut}`))?.length).toBe(whole.length - 9)
  })

  test('runs that are being compressed are sent once, compressed', async () => {
    const folder = newFolder()
    const run = nextRun()
    const plain = await runFileBytes({ camera: 32, digitizers: false }, null, { compression: 'none' })
    const gzip = await runFileBytes({ camera: 32, digitizers: false }, null, { compression: 'gzip' })
    const mid = runFile(folder, `run${run}.mid`, plain, 100)
    const gz = join(folder, `run${run}.mid.gz`)
    writeFileSync(gz, gzip.subarray(0, 1000))
    const { clock, pass } = createStillClock()
    const watching = watch(folder, {}, { clock })
    await until(
      () =>
        watching.reason(`run${run}.mid`) === MOMENT_AGO && watching.reason(`run${run}.mid.gz`) === MOMENT_AGO,
    )
    pass(SETTLED_MS)
    await until(() => watching.reason(`run${run}.mid`) === `it is being compressed into run${run}.mid.gz`)
    await until(
      () => watching.reason(`run${run}.mid.gz`) === `run${run}.mid is still being compressed into it`,
    )
    expect(watching.of('file-closed')).toEqual([])
    appendFileSync(gz, gzip.subarray(1000))
    const { atime, mtime } = statSync(mid)
    utimesSync(gz, atime, mtime)
    rmSync(mid)
    await until(() => watching.lastPending()?.bytes === gzip.length)
    pass(SETTLED_MS)
    await until(() => watching.pushed().length > 0)
    await watching.end()
    expect(watching.pushed()).toEqual([`run${run}.mid.gz`])
    expect(await isInStore(`run${run}.mid`)).toBe(false)
  })

  test('runs do not become idle because the wall clock is set', async () => {
    const folder = newFolder()
    const [old, live] = [`run${nextRun()}.mid`, `run${nextRun()}.mid`]
    runFile(folder, old, 'an event', 10)
    const time = createStillClock()
    const watching = watch(folder, {}, { clock: time.clock })
    await until(() => watching.reason(old) !== undefined)
    time.wallMs = () => Date.now() + 5 * HOUR_S * 1000
    runFile(folder, live, 'another event', -5 * HOUR_S)
    await until(() => watching.reason(live) === MOMENT_AGO)
    time.pass(60_000)
    await until(() => watching.reason(live) === MAYBE_WRITTEN && watching.pushed().length > 0)
    expect(watching.of('file-closed').map(({ file, evidence }) => [file.name, evidence])).toEqual([
      [old, 'later-run'],
    ])
    await watching.end()
  })
})

describe('a watch that is started again', () => {
  test('after a restart the watch neither reads nor checks files that its journal has as stored', async () => {
    const folder = newFolder()
    const names = Array.from({ length: 5 }, () => `run${nextRun()}.mid.gz`)
    for (const [index, name] of names.entries()) runFile(folder, name, name, HOUR_S - index)
    await watch(folder, ONCE).done
    const again = watch(folder, ONCE)
    expect((await again.done)?.kept.count).toBe(5)
    expect(again.commands).toEqual([])
  })

  test('without its journal the watch compares files with the store, and sends none twice', async () => {
    const folder = newFolder()
    const name = `run${nextRun()}.mid.gz`
    runFile(folder, name, name, HOUR_S)
    await watch(folder, ONCE).done
    const again = watch(folder, ONCE, { stateFolder: join(newFolder(), 'state') })
    await again.done
    expect(again.of('file-pushed')).toMatchObject([{ state: 'already-there', sentBytes: 0 }])
  })

  test('a file that was written since is checked again: the object in the store is kept, and the refusal is reported repeatedly', async () => {
    const folder = newFolder()
    const name = `run${nextRun()}.mid.gz`
    runFile(folder, name, 'as it was', HOUR_S)
    await watch(folder, ONCE).done
    runFile(folder, name, 'longer than it was', HOUR_S)
    const watching = watch(folder)
    await until(() => watching.of('file-push-failed').length > 1)
    expect(
      watching
        .of('file-push-failed')
        .map(({ state, attempt }) => [state, attempt])
        .slice(0, 2),
    ).toEqual([
      ['refused', 1],
      ['refused', 2],
    ])
    await until(() => watching.lastPending()?.files[0]?.reason.includes('is another object') === true)
    expect(watching.lastPending()?.counts.refused).toBe(1)
    await watching.end()
    expect((await content(`LNGS/${name}`))?.toString()).toBe('as it was')
  })
})

describe('the watch goes on', () => {
  test('the watch continues through days without a network, and reports the pending files', async () => {
    const folder = newFolder()
    const names = [`run${nextRun()}.mid.gz`, `run${nextRun()}.mid.gz`]
    for (const [index, name] of names.entries()) runFile(folder, name, name, HOUR_S - index)
    const watching = watch(folder)
    watching.network.isDown = true
    await until(() => watching.of('file-push-failed').length >= 6)
    expect(watching.of('file-push-failed')[0]).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('ECONNREFUSED'),
    })
    const waits = watching.of('file-push-failed').map(({ againSeconds }) => againSeconds)
    expect(Math.max(...waits)).toBeGreaterThan(Math.min(...waits))
    await until(() => watching.lastPending()?.counts.open === 0)
    expect(watching.lastPending()).toMatchObject({ counts: { open: 0 }, oldestSeconds: expect.any(Number) })
    expect(watching.lastPending()?.files.length).toBe(2)
    watching.network.isDown = false
    await until(() => watching.pushed().length === 2)
    await until(() => watching.lastPending()?.files.length === 0)
    await watching.end()
  })

  test('the watch continues when the store is not known yet, as without the API', async () => {
    const folder = newFolder()
    runFile(folder, `run${nextRun()}.mid.gz`, 'x', HOUR_S)
    const watching = watch(
      folder,
      {},
      {
        openStore: async () => {
          throw new Error('the API does not answer')
        },
      },
    )
    await until(() => watching.of('watch-failing').length >= 3)
    expect(watching.of('watch-failing')[0]).toMatchObject({
      what: 'store',
      error: expect.stringContaining('does not answer'),
    })
    await watching.end()
  })

  test('the watch continues with the other files after one that cannot be sent', async () => {
    const folder = newFolder()
    const [taken, empty, good] = [
      `run${nextRun()}.mid.gz`,
      `run${nextRun()}.mid.gz`,
      `run${nextRun()}.mid.gz`,
    ]
    runFile(folder, taken, 'ours', 3 * HOUR_S)
    runFile(folder, empty, '', 2 * HOUR_S)
    runFile(folder, good, 'good', HOUR_S)
    mkdirSync(join(folder, `run${nextRun()}.mid.gz`))
    await fixture.s3.send(
      new PutObjectCommand({ Bucket: fixture.bucket, Key: `LNGS/${taken}`, Body: 'of others' }),
    )
    const watching = watch(folder, ONCE)
    const pending = await watching.done
    expect(watching.pushed()).toEqual([good])
    expect(pending?.files.map(({ state, reason }) => [state, reason])).toEqual([
      ['refused', expect.stringContaining('is another object')],
      ['refused', expect.stringContaining('is empty')],
      ['refused', 'it is not a file'],
    ])
    expect((await content(`LNGS/${taken}`))?.toString()).toBe('of others')
  })

  test('the watch continues after files that are removed or replaced while they are sent', async () => {
    const folder = newFolder()
    const [removed, replaced] = [`run${nextRun()}.mid.gz`, `run${nextRun()}.mid.gz`]
    const paths = [removed, replaced].map((name) =>
      runFile(folder, name, Buffer.alloc(6 * MIB, name), 2 * HOUR_S),
    )
    const [goneFile = '', replacedFile = ''] = paths
    const changed = new Set<string>()
    const watching = watch(folder, QUICK, {
      onProgress({ file, phase }) {
        if (phase !== 'sending' || changed.has(file)) return
        changed.add(file)
        if (file === goneFile) rmSync(file)
        if (file === replacedFile) {
          runFile(folder, 'spare', 'the true one', HOUR_S)
          renameSync(join(folder, 'spare'), file)
        }
      },
    })
    await until(() => watching.pushed().length > 0)
    await until(() => watching.lastPending()?.files.length === 0)
    await watching.end()
    expect(watching.pushed()).toEqual([replaced])
    expect((await content(`LNGS/${replaced}`))?.toString()).toBe('the true one')
    expect(await isInStore(removed)).toBe(false)
  })

  test('a file that replaced a closed file and is still written is not sent', async () => {
    const folder = newFolder()
    const name = `run${nextRun()}.mid.gz`
    const path = runFile(folder, name, 'an old run', 2 * HOUR_S)
    const store = { s3: fixture.s3, name: 'test', bucket: fixture.bucket, remote: null, close: () => {} }
    const { clock, pass } = createStillClock()
    const watching = watch(
      folder,
      {},
      {
        clock,
        openStore: async () => {
          rmSync(path)
          writeFileSync(path, 'begin, ')
          return store
        },
      },
    )
    await until(() => watching.reason(name) === MOMENT_AGO)
    pass(SETTLED_MS)
    await until(() => watching.of('file-closed').length === 1)
    await until(
      () => watching.lastPending()?.bytes === 'begin, '.length && watching.reason(name) === MOMENT_AGO,
    )
    pass(SETTLED_MS)
    await until(() => watching.reason(name) === MAYBE_WRITTEN)
    expect(watching.pushed()).toEqual([])
    appendFileSync(path, 'end')
    await until(() => watching.lastPending()?.bytes === 'begin, end'.length)
    pass(900_000)
    await until(() => watching.pushed().length === 1)
    await watching.end()
    expect((await content(`LNGS/${name}`))?.toString()).toBe('begin, end')
  })

  test('the watch continues without its folder, and scans it when its disk is mounted', async () => {
    const folder = join(newFolder(), 'not-mounted')
    const watching = watch(folder, QUICK)
    await until(() => watching.of('watch-failing').length > 1)
    expect(watching.of('watch-failing')[0]).toMatchObject({
      what: 'folder',
      error: expect.stringContaining('is its disk mounted?'),
    })
    mkdirSync(folder)
    const name = `run${nextRun()}.mid.gz`
    runFile(folder, name, 'x', HOUR_S)
    await until(() => watching.pushed().includes(name))
    renameSync(folder, `${folder}-away`)
    const reports = watching.of('watch-failing').length
    await until(() => watching.of('watch-failing').length > reports)
    renameSync(`${folder}-away`, folder)
    const next = `run${nextRun()}.mid.gz`
    runFile(folder, next, 'y', HOUR_S)
    await until(() => watching.pushed().includes(next))
    await watching.end()
    expect(watching.pushed()).toEqual([name, next])
  })
})

test('a single pass fails immediately without the folder', async () => {
  await expect(watch(join(newFolder(), 'away'), ONCE).done).rejects.toThrow('there is no such folder')
})

test('a folder is watched by one process; the lock of a killed one is ignored', async () => {
  const folder = newFolder()
  const first = watch(folder)
  await until(() => first.of('watch-pending').length > 0)
  await expect(watch(folder).done).rejects.toThrow(/process \d+ is watching .* already/)
  await first.end()
  const lock = join(
    fixture.folder,
    'stack',
    'watch',
    `${digest('sha256', Buffer.from(JSON.stringify([folder]))).slice(0, 32)}.lock`,
  )
  writeFileSync(lock, JSON.stringify({ pid: process.pid, startTicks: '1', bootId: 'another' }))
  expect((await watch(folder, ONCE).done)?.files).toEqual([])
})

describe('files that may be deleted', () => {
  /** A catalogue in which the files with these names are safe. */
  const catalogue = (safe: ReadonlySet<string>): SafetyPort => {
    const safetyOf = async ({ key }: { readonly key: string }) =>
      safe.has(key.replace('LNGS/', ''))
        ? { safe: true, reason: 'two copies are verified' }
        : { safe: false, reason: 'not on tape yet' }
    return {
      safetyOf,
      async removeWhenSafe(file, remove) {
        const answer = await safetyOf(file)
        if (answer.safe) await remove({ id: 1, reason: answer.reason, isOver: () => false })
        return answer
      },
      ...noReports,
    }
  }
  const isThere = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined

  test('files are removed when they are safe, old, and not among the newest; the others have reasons', async () => {
    const folder = newFolder()
    const names = Array.from({ length: 6 }, () => `run${nextRun()}.mid.gz`)
    const paths = names.map((name, index) =>
      runFile(folder, name, name, HOUR_S * (index < 4 ? 100 - index : 6 - index)),
    )
    const [first, , third, fourth] = names
    const safe = new Set([first, third, fourth, ...names.slice(4)].filter((name) => name !== undefined))
    const watching = watch(
      folder,
      { deletion: { newestRuns: 1, hours: 24 } },
      { openSafety: async () => catalogue(safe) },
    )
    await until(() => watching.of('file-deleted').length === 3)
    const reasons = {
      'not on tape yet': 1,
      'it is younger than 24 h': 1,
      'it is among the newest runs (1)': 1,
    }
    await vi.waitFor(
      () => expect(watching.lastPending()?.kept).toMatchObject({ count: 3, reasons }),
      LONGEST_WAIT_MS,
    )
    expect(watching.lastPending()?.kept.reasons).toEqual(reasons)
    expect(paths.map(isThere)).toEqual([false, true, false, false, true, true])
    await watching.end()
  })

  test('files are removed later when they become safe, and never without --delete-when-safe', async () => {
    const folder = newFolder()
    const name = `run${nextRun()}.mid.gz`
    const path = runFile(folder, name, name, 100 * HOUR_S)
    const safe = new Set<string>()
    const patient = watch(
      folder,
      { deletion: { newestRuns: 0, hours: 0 } },
      {
        openSafety: async () => catalogue(safe),
        clock: { wallMs: () => Date.now(), steadyMs: () => performance.now() * 10_000 },
      },
    )
    await until(() => patient.lastPending()?.kept.reasons['not on tape yet'] === 1)
    safe.add(name)
    await patient.end()
    await watch(folder, ONCE, { openSafety: async () => catalogue(safe) }).done
    expect(isThere(path)).toBe(true)
    const again = watch(
      folder,
      { ...ONCE, deletion: { newestRuns: 0, hours: 0 } },
      { openSafety: async () => catalogue(safe) },
    )
    expect((await again.done)?.kept).toEqual({ count: 0, bytes: 0, reasons: {} })
    expect(isThere(path)).toBe(false)
    expect(again.of('file-deleted').length).toBe(1)
  })

  test('files are kept while the catalogue does not answer, and others are still sent', async () => {
    const folder = newFolder()
    const names = [`run${nextRun()}.mid.gz`, `run${nextRun()}.mid.gz`]
    const paths = names.map((name) => runFile(folder, name, name, 100 * HOUR_S))
    const down = async () => {
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    }
    const watching = watch(
      folder,
      { deletion: { newestRuns: 0, hours: 0 } },
      {
        openSafety: async () => ({ ...noReports, safetyOf: down, removeWhenSafe: down }),
      },
    )
    await until(() => watching.pushed().length === 2 && watching.of('watch-failing').length > 1)
    expect(watching.of('watch-failing')[0]).toMatchObject({ what: 'catalogue' })
    expect(paths.map(isThere)).toEqual([true, true])
    await watching.end()
  })
})

describe('files that were reported to the catalogue', () => {
  function catalogue() {
    const reports: string[] = []
    const markers = new Set<string>()
    const marked = new Set<string>()
    const name = ({ path }: { readonly path: string }) => path.replace(/.*\//, '')
    const safety: SafetyPort = {
      ...noReports,
      safetyOf: async () => ({ safe: false, reason: 'not on tape yet' }),
      removeWhenSafe: async () => ({ safe: false, reason: 'not on tape yet' }),
      reportPresent: async (file) => {
        if (markers.has(name(file))) marked.add(name(file))
        else reports.push(`here ${name(file)}`)
        return true
      },
      reportVanished: async (file) => reports.push(`gone ${name(file)}`) > 0,
    }
    /**
     * Waits until the folder was compared again with the catalogue: a file that appears now is reported only
     * afterwards.
     */
    const compared = async (folder: string) => {
      const marker = `run${nextRun()}.mid.gz`
      markers.add(marker)
      runFile(folder, marker, marker, HOUR_S)
      await until(() => marked.has(marker))
    }
    return { sent: reports, compared, openSafety: async () => safety }
  }
  const someRuns = (folder: string) => {
    const names = [`run${nextRun()}.mid.gz`, `run${nextRun()}.mid.gz`] as const
    for (const [index, name] of names.entries()) runFile(folder, name, name, HOUR_S * (9 - index))
    return names
  }

  test('reported files that another process removes or overwrites are reported as missing, once', async () => {
    const folder = newFolder()
    const [first, second] = someRuns(folder)
    const { sent: reports, compared, openSafety } = catalogue()
    const watching = watch(folder, {}, { openSafety })
    await until(() => reports.length === 2)
    rmSync(join(folder, first))
    writeFileSync(join(folder, second), 'something else')
    await until(() => reports.length === 4)
    await compared(folder)
    await watching.end()
    // Either of two files that are sent at the same time may be reported first.
    expect(reports.slice(0, 2).toSorted()).toEqual([`here ${first}`, `here ${second}`])
    expect(reports.slice(2).toSorted()).toEqual([`gone ${first}`, `gone ${second}`])
    const vanished = watching.of('file-vanished').map(({ key }) => key)
    expect(vanished.toSorted()).toEqual([`LNGS/${first}`, `LNGS/${second}`])
  })

  test('reported files are not reported as missing while another folder has the path of theirs, nor afterwards', async () => {
    const folder = newFolder()
    const [first, second] = someRuns(folder)
    const { sent: reports, compared, openSafety } = catalogue()
    const watching = watch(folder, QUICK, { openSafety })
    await until(() => reports.length === 2)
    renameSync(folder, `${folder}-disk`)
    mkdirSync(folder)
    const third = `run${nextRun()}.mid.gz`
    runFile(folder, third, 'written below the mount point', HOUR_S)
    await until(() => reports.length === 3)
    await compared(folder)
    renameSync(folder, `${folder}-below`)
    renameSync(`${folder}-disk`, folder)
    await compared(folder)
    await watching.end()
    const again = watch(folder, ONCE, { openSafety })
    await again.done
    expect(reports.slice(0, 2).toSorted()).toEqual([`here ${first}`, `here ${second}`])
    expect(reports.slice(2)).toEqual([`here ${third}`])
  })

  test('reported files are reported again when they are back', async () => {
    const folder = newFolder()
    const [first, second] = someRuns(folder)
    const { sent: reports, openSafety } = catalogue()
    await watch(folder, ONCE, { openSafety }).done
    renameSync(join(folder, first), join(folder, 'aside'))
    await watch(folder, ONCE, { openSafety }).done
    renameSync(join(folder, 'aside'), join(folder, first))
    await watch(folder, ONCE, { openSafety }).done
    expect(reports).toEqual([`here ${first}`, `here ${second}`, `gone ${first}`, `here ${first}`])
  })
})
