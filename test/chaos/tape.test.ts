/**
 * Whatever dies while copies are made, every run gets a verified copy with its bytes, and no copy fails for ever.
 *
 * @module-tag long
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { isTemporary } from '../../shared/tape/names.ts'
import { eventually, startTestStack, type TestStack } from '../support/stack.ts'
import { LONGEST_STACK_WAIT_MS } from '../support/waiting.ts'

const RUNS = 16
let stack: TestStack
beforeAll(async () => {
  stack = await startTestStack({ environment: { CYGNET_LEASE_SECONDS: '4' } })
})
afterAll(() => stack?.close())

const keyOf = (runNumber: number) => `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`
const bytesOf = (runNumber: number) =>
  runFileBytes({ runNumber, seed: runNumber, camera: 512, events: 12, digitizers: false })

/** False while it is being restarted. */
function kill(name: string): boolean {
  try {
    return process.kill(stack.pid(name), 'SIGKILL')
  } catch {
    return false
  }
}

const tapeCopies = () =>
  stack.context.database
    .selectFrom('copies')
    .selectAll()
    .where('kind', '=', 'tape')
    .orderBy('runNumber')
    .execute()

test('every run is on tape in the end, complete and once, although the copying functions are killed repeatedly', async () => {
  const dropped = new Map<string, string>()
  let kills = 0
  // The progress decides when a function is killed, and how often: a copy with too many attempts waits for minutes.
  for (let run = 1; run <= RUNS; run++) {
    const bytes = await bytesOf(run)
    dropped.set(`${stack.bucket}/${keyOf(run)}`, createHash('sha256').update(bytes).digest('hex'))
    await stack.put(keyOf(run), bytes)
    if (kill(run % 3 === 0 ? 'track-tape' : 'request-tape-copy')) kills++
  }
  expect(kills).toBeGreaterThan(1)
  const copies = await eventually(
    async () =>
      JSON.stringify(
        (await tapeCopies()).map(({ runNumber, state, lastError }) => ({ runNumber, state, lastError })),
      ),
    async () => {
      const rows = await tapeCopies()
      return rows.length === RUNS && rows.every((row) => row.state === 'on-media') ? rows : null
    },
    LONGEST_STACK_WAIT_MS,
  )
  expect(copies.map((copy) => copy.name)).toEqual([...dropped.keys()])
  const folder = join(stack.folder, 'tape')
  for (const copy of copies) {
    const digest = createHash('sha256')
      .update(readFileSync(join(folder, copy.name)))
      .digest('hex')
    expect(digest).toBe(dropped.get(copy.name))
    expect(copy).toMatchObject({ sha256: digest, verifiedAt: expect.any(Date), leaseOwner: null })
  }
  // A copy in progress when its function was killed remains under its temporary name, until it is too old.
  const place = join(folder, stack.bucket, 'LNGS')
  const names = copies.map((copy) => copy.name.slice(`${stack.bucket}/LNGS/`.length))
  const leftOver = readdirSync(place).filter((name) => !names.includes(name))
  expect(leftOver.filter((name) => !isTemporary(name))).toEqual([])
  const longAgo = new Date(Date.now() - 2 * 3_600_000)
  for (const name of [...leftOver, plantTemporary(place)]) utimesSync(join(place, name), longAgo, longAgo)
  await stack.put(keyOf(RUNS + 1), await bytesOf(RUNS + 1))
  const swept = [...names, `run${String(RUNS + 1).padStart(5, '0')}.mid.gz`]
  await eventually(
    async () => readdirSync(place).join(' '),
    async () => (readdirSync(place).toSorted().join() === swept.join() ? true : null),
  )
})

/** As a killed function leaves it. */
function plantTemporary(folder: string): string {
  const name = '.cygnet-3-0123456789ab.part'
  writeFileSync(join(folder, name), 'the beginning of run 3')
  return name
}

test('an endpoint that accepts connections and never answers does not delay the cataloguing of runs', async () => {
  const requested = Promise.withResolvers<void>()
  let first: Socket | undefined
  const silent = createServer(({ socket }) => {
    first ??= socket
    requested.resolve()
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const slow = await startTestStack({
    environment: { CYGNET_TAPE_DRIVER: 'webdav', CYGNET_TAPE_URL: `http://127.0.0.1:${port}/` },
  })
  const copier = slow.pid('request-tape-copy')
  try {
    await slow.put(keyOf(1), await bytesOf(1))
    await requested.promise
    // Now the copy cannot end: work that waited for it would wait for ever.
    process.kill(copier, 'SIGSTOP')
    for (let run = 2; run <= 8; run++) await slow.put(keyOf(run), await bytesOf(run))
    await eventually('eight runs', async () => {
      const rows = await slow.context.database
        .selectFrom('runs')
        .select('id')
        .where('complete', '=', true)
        .execute()
      return rows.length === 8
    })
    expect(first?.destroyed).toBe(false)
    const copies = await slow.context.database
      .selectFrom('copies')
      .select('state')
      .where('kind', '=', 'tape')
      .execute()
    expect(copies.filter((copy) => copy.state === 'on-media')).toEqual([])
  } finally {
    process.kill(copier, 'SIGCONT')
    silent.close()
    silent.closeAllConnections()
    await slow.close()
  }
})
