/** The work of a user with the command line, on the whole embedded stack. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { runlogRow } from '../support/catalogue.ts'
import { eventually, startTestStack, type TestStack } from '../support/stack.ts'

let stack: TestStack
beforeAll(async () => {
  stack = await startTestStack()
})
afterAll(() => stack.close())

const small = (runNumber: number, more: object = {}) =>
  runFileBytes({ runNumber, camera: 32, events: 12, digitizers: false, ...more })
const keyOf = (runNumber: number, tag = 'LNGS') => `${tag}/run${String(runNumber).padStart(5, '0')}.mid.gz`

async function shown(runNumber: number) {
  return await eventually(`run ${runNumber} in the catalogue`, async () => {
    const { code, stdout } = await stack.cygnet('runs', 'show', String(runNumber), '--json')
    return code === 0 ? JSON.parse(stdout) : null
  })
}

test('the first start takes all tags over: what is dropped from then on is new', async () => {
  const { stdout } = await stack.cygnet('adopt', '--json')
  const { takeOvers } = JSON.parse(stdout)
  expect(takeOvers).toEqual([{ tag: '*', since: expect.any(String), setAt: expect.any(String) }])
  expect(Date.parse(takeOvers[0].since)).toBeLessThanOrEqual(Date.now())
})

describe('a run dropped into the bucket', () => {
  test('a dropped run is shown by `cygnet runs` seconds later, with its checksums, and is found in the logs', async () => {
    const bytes = await small(12345)
    await stack.put(keyOf(12345), bytes)
    const run = await shown(12345)
    expect(run).toMatchObject({
      runNumber: 12345,
      tag: 'LNGS',
      complete: true,
      integrity: 'verified',
      problem: null,
    })
    expect(run.files[0].md5).toBe(createHash('md5').update(bytes).digest('hex'))
    expect(run.requests.map((request: { queue: string }) => request.queue)).toEqual([
      'tape-requests',
      'reco-requests',
    ])
    expect(await runlogRow(stack.context.database, 12345)).toMatchObject({
      storage_cloud_status: 1,
      number_of_events: 12,
    })
    expect((await stack.cygnet('runs', 'ls', '--tag', 'LNGS')).stdout).toContain('12345')
    const events = await eventually('run-catalogued in the logs', async () => {
      const { stdout } = await stack.cygnet('logs', '--run', '12345', '--json')
      return (
        stdout.includes('run-catalogued') &&
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      )
    })
    expect(events.map((line) => line.event)).toContain('run-catalogued')
    expect(
      events.every((line) => line.run === 12345 && line.tag === 'LNGS' && line.key === keyOf(12345)),
    ).toBe(true)
  })

  test('a run announced through the webhook is catalogued too', async () => {
    const webhook = `${stack.address('receive-notification')}/minio`
    const token = stack.environment.CYGNET_NOTIFICATION_TOKEN
    const record = {
      eventName: 's3:ObjectCreated:Put',
      s3: { bucket: { name: stack.bucket }, object: { key: encodeURIComponent(keyOf(77)), eTag: 'x' } },
    }
    const post = (authorization: string) =>
      fetch(webhook, {
        method: 'POST',
        headers: { authorization },
        body: JSON.stringify({ EventName: 's3:ObjectCreated:Put', Records: [record] }),
      })
    expect((await post('Bearer wrong')).status).toBe(401)
    expect((await post(`Bearer ${token}`)).status).toBe(200)
    await stack.put(keyOf(77), await small(77))
    expect((await shown(77)).complete).toBe(true)
  })

  test('a run of several subruns is complete when the last has arrived', async () => {
    const subruns = await Promise.all(
      [0, 1, 2].map((subrun) =>
        runFileBytes({ runNumber: 500, camera: 32, events: 36, digitizers: false, subruns: 3 }, subrun),
      ),
    )
    const drop = (subrun: number) =>
      stack.put(`LNGS/run00500sub000${subrun}.mid.gz`, subruns[subrun] as Uint8Array)
    await drop(2)
    await drop(0)
    expect(
      await eventually('two files', async () => {
        const run = await shown(500)
        return run.fileCount === 2 ? run : null
      }),
    ).toMatchObject({ complete: false, problem: 'subruns missing: 1' })
    await drop(1)
    expect(
      await eventually('three files', async () => {
        const run = await shown(500)
        return run.fileCount === 3 ? run : null
      }),
    ).toMatchObject({ complete: true, problem: null })
    expect((await shown(500)).events).toContainEqual(expect.objectContaining({ eventId: 1, events: 36 }))
  })
})

describe('failures', () => {
  test('an unreadable file is reported and kept; a good one under the same name replaces it', async () => {
    await stack.put(keyOf(600), Buffer.from('not MIDAS, not at all, not even close'))
    const line = await eventually('run-invalid in the logs', async () =>
      (await stack.cygnet('logs', '--run', '600', '--json')).stdout
        .split('\n')
        .find((text) => text.includes('run-invalid')),
    )
    expect(JSON.parse(line).reason).toMatch(/MIDAS/)
    const reason = await eventually('the reason in the catalogue', async () => {
      const answer = await stack.cygnet('runs', 'show', '600')
      return answer.stderr.includes('invalid since') && answer
    })
    expect(reason).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/invalid since .* not a MIDAS file/),
    })
    await stack.put(keyOf(600), await small(600))
    expect((await shown(600)).complete).toBe(true)
  })

  test('an unknown run gives a sentence and exit code 1, a wrong option exit code 2', async () => {
    const unknown = await stack.cygnet('runs', 'show', '999999')
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('cygnet reconcile') })
    expect((await stack.cygnet('runs', 'show', 'abc')).code).toBe(2)
    expect((await stack.cygnet('nonsense')).code).toBe(2)
    expect((await stack.cygnet('replay')).stderr).toContain('exactly one of')
  })

  test('a message that always fails becomes a dead letter, can be read, and is sent back', async () => {
    await stack.put(keyOf(700), await small(700))
    await shown(700)
    const body = JSON.stringify({
      Records: [
        {
          eventName: 'ObjectCreated:Put',
          s3: { bucket: { name: stack.bucket }, object: { key: keyOf(700) } },
        },
      ],
    })
    await stack.context.queues.send('runs-dead', [body], new AbortController().signal)
    const listed = await stack.cygnet('dead', 'ls')
    expect(listed.stdout).toContain(keyOf(700))
    const id = /^([0-9a-f]{8}) /m.exec(listed.stdout)?.[1] ?? ''
    expect((await stack.cygnet('dead', 'show', id)).stdout).toContain('"receiveCount"')
    expect((await stack.cygnet('dead', 'retry', id)).stdout).toContain('nothing was done')
    expect((await stack.cygnet('dead', 'retry', id, '--yes')).stdout).toContain(
      '1 dead letters were sent back',
    )
    expect((await stack.cygnet('dead', 'ls')).stdout).toContain('no dead letters')
  })
})

describe('with every notification lost', () => {
  let silent: TestStack
  beforeAll(async () => {
    silent = await startTestStack({ notifications: false })
  })
  afterAll(() => silent.close())

  test('reconcile catalogues all runs, and a second one finds none to enqueue', async () => {
    for (let run = 1; run <= 30; run++)
      await silent.put(keyOf(run, run % 2 ? 'LNGS' : 'LNF'), await small(run))
    await silent.put('EVENTS/LNGS_1700000000_1.dat', Buffer.from('x'))
    const first = await silent.cygnet('reconcile', '--json')
    expect(JSON.parse(first.stdout)).toMatchObject({ listed: 31, runs: 30, announced: 30, finished: true })
    await eventually(
      'all thirty',
      async () =>
        (await silent.context.database.selectFrom('runs').select('id').where('complete', '=', true).execute())
          .length === 30,
    )
    expect(JSON.parse((await silent.cygnet('reconcile', '--json')).stdout)).toMatchObject({ announced: 0 })
    const replayed = await silent.cygnet('replay', '--prefix', 'LNF/')
    expect(replayed.stdout).toContain('15 objects; nothing was done:')
    expect((await silent.cygnet('replay', '--run', '4', '--yes')).stdout).toContain('1 objects were enqueued')
    await eventually(
      'it was read again',
      async () =>
        (
          await silent.context.database
            .selectFrom('runHistory')
            .select('id')
            .where('what', '=', 'catalogued again')
            .execute()
        ).length === 1,
    )
  })
})

test('`cygnet inspect` reads a local file without a stack', async () => {
  const folder = join(stack.folder, 'LNF')
  mkdirSync(folder)
  const bytes = await small(42)
  writeFileSync(join(folder, 'run00042.mid.gz'), bytes)
  const { code, stdout } = await stack.cygnet('inspect', join(folder, 'run00042.mid.gz'), '--json')
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    runNumber: 42,
    tag: 'LNF',
    complete: true,
    problem: null,
    md5: createHash('md5').update(bytes).digest('hex'),
  })
  writeFileSync(join(folder, 'run00043.mid.gz'), 'nonsense')
  const wrong = await stack.cygnet('inspect', join(folder, 'run00043.mid.gz'), '--json')
  expect(wrong.code).toBe(1)
  expect(JSON.parse(wrong.stdout)).toEqual({ error: expect.any(String) })
})

test('`cygnet config` prints settings without secrets', async () => {
  const { code, stdout } = await stack.cygnet('config')
  expect(code).toBe(0)
  for (const name of ['CYGNET_S3_SECRET_ACCESS_KEY', 'CYGNET_NOTIFICATION_TOKEN'] as const)
    expect(stdout).not.toContain(stack.environment[name])
})
