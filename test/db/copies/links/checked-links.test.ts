import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { claimReplica } from '../../../../shared/catalogue/replica-work.ts'
import { catalogueLinks } from '../../../../shared/copies/links/catalogue-links.ts'
import { checkedLinks, type LinkRequest } from '../../../../shared/copies/links/checked-links.ts'
import { type FileLink, findFiles } from '../../../../shared/copies/links/find-files.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { createConfirmLoss } from '../../../../shared/copies/verify/confirm-loss.ts'
import { createLogger } from '../../../../shared/log.ts'
import { LONGEST_LINK_SECONDS } from '../../../../shared/storage/links.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { TEST_LEASE_SECONDS } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import {
  deleteFromStore,
  makeRun,
  onlyOnTape,
  putOnTape,
  replicaOf,
  setState,
  type TestRun,
} from '../../../support/recalled-runs.ts'
import { advanceRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { LONGEST_WAIT_MS } from '../../../support/waiting.ts'

let context: TestTapeContext
let here: TestTapeContext
let tape: RecallTape
let nextRun = 500
let number: number
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_LINK_SECONDS: '900' } })
})
afterAll(() => context.close())
beforeEach(() => {
  number = nextRun++
  tape = recallTape()
  here = { ...context, tape }
})

afterEach(() => void vi.restoreAllMocks())

const links = async (request: Partial<LinkRequest> = {}, on = here): Promise<readonly FileLink[]> =>
  await checkedLinks(
    on,
    await findFiles(on.database, { runs: [{ runNumber: number, tag: 'LNGS' }] }),
    { seconds: 60, ...request },
    new Date(),
    signal,
    createConfirmLoss(on, LONGEST_WAIT_MS),
  )
const only = async (request: Partial<LinkRequest> = {}, on = here): Promise<FileLink> => {
  const files = await links(request, on)
  expect(files).toHaveLength(1)
  return files[0] as FileLink
}
const recall = { days: 7, requestedBy: 'test' }
const fetched = async (link: FileLink) => {
  if (link.kind !== 'link') throw new Error(`it is ${link.kind}`)
  return await fetch(link.url)
}

describe('a file in the store', () => {
  test('a file in the store has a link by which anybody gets its bytes under its name, with its true expiry', async () => {
    const run = await makeRun(here, number)
    const before = Date.now()
    const link = await only()
    const after = Date.now()
    expect(link).toMatchObject({
      kind: 'link',
      fileName: run.key.slice(5),
      sizeBytes: 3000,
      md5: run.md5,
      adler32: run.adler32,
    })
    const expiresAt = link.kind === 'link' ? link.expiresAt.getTime() : 0
    expect(expiresAt - before).toBeGreaterThanOrEqual(59_000)
    expect(expiresAt).toBeLessThanOrEqual(after + 60_000)
    const answer = await fetched(link)
    expect(answer.headers.get('content-disposition')).toContain(run.key.slice(5))
    expect(Buffer.from(await answer.arrayBuffer()).equals(run.bytes)).toBe(true)
  })

  test('a link does not last longer than is allowed', async () => {
    await makeRun(here, number)
    const link = await only({ seconds: LONGEST_LINK_SECONDS })
    expect(link.kind === 'link' && link.expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(900_000)
  })

  test.each([0, -5, 0.5, Number.NaN])('a link of %s seconds is refused', async (seconds) => {
    await makeRun(here, number)
    await expect(links({ seconds })).rejects.toThrow(/for a second at least/)
  })

  test('a suspicious file has no link, but the reason', async () => {
    const run = await makeRun(here, number)
    await setState(here, (await replicaOf(here, run, 'cloud'))?.id ?? 0, 'present', 'suspicious')
    expect(await only()).toMatchObject({ kind: 'unavailable', why: expect.stringContaining('suspicious') })
  })

  test('a file that was overwritten has no link until the new contents are catalogued', async () => {
    const run = await makeRun(here, number)
    await context.put(run.key, 'x'.repeat(3000))
    expect(await only()).toMatchObject({
      kind: 'unavailable',
      why: expect.stringContaining('something else under its key'),
    })
  })

  test('a file with appended bytes has no link', async () => {
    const run = await makeRun(here, number)
    await context.put(run.key, Buffer.concat([run.bytes, run.bytes]))
    expect((await only()).kind).toBe('unavailable')
  })
})

describe('a file that is only on tape', () => {
  test('a file that is only on tape states so, and that a recall brings it back', async () => {
    const run = await onlyOnTape(here, tape, number)
    expect(await only()).toMatchObject({ kind: 'on-tape', how: expect.stringContaining('recall') })
    expect(await replicaOf(here, run, 'recall')).toBeUndefined()
  })

  test('a file that is only on tape is recalled on request, shows the progress, and then has a link', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 1
    expect(await only({ recall })).toMatchObject({ kind: 'recalling', state: 'requested', md5: run.md5 })
    const { id = 0 } = (await replicaOf(here, run, 'recall')) ?? {}
    await advanceRecall(here, id, signal, here.log)
    expect(await only({ recall })).toMatchObject({
      kind: 'recalling',
      state: 'staging',
      requestedAt: expect.any(Date),
    })
    await advanceRecall({ ...here, now: () => new Date(Date.now() + 600_000) }, id, signal, here.log)
    // Before the store's notification is processed.
    const answer = await fetched(await only())
    expect(Buffer.from(await answer.arrayBuffer()).equals(run.bytes)).toBe(true)
  })

  test('a file that came back as a multipart upload has a link before it is catalogued again', async () => {
    const run = await onlyOnTape(here, tape, number, 18 * 1024 * 1024)
    const { files } = await requestRecall(here, { runNumber: number }, recall, new Date(), signal)
    await advanceRecall(here, files[0]?.replicaId ?? 0, signal, here.log)
    expect((await only()).kind).toBe('link')
    await context.put(run.key, Buffer.alloc(run.bytes.length))
    expect((await only()).kind).toBe('unavailable')
  })

  test('a file that the catalogue still has in the store is checked there, and recalled', async () => {
    const run = await makeRun(here, number)
    await putOnTape(here, tape, run)
    await deleteFromStore(here, { ...run, sha256: 'not the cloud row' })
    expect(await replicaOf(here, run, 'cloud')).toMatchObject({ state: 'present' })
    expect((await only()).kind).toBe('on-tape')
    expect(await only({ recall })).toMatchObject({ kind: 'recalling', state: 'requested' })
  })

  test('a file that is being deleted has no link that would fail early', async () => {
    const run = await makeRun(here, number)
    await putOnTape(here, tape, run)
    await setState(here, (await replicaOf(here, run, 'cloud'))?.id ?? 0, 'present', 'deleting')
    expect((await only()).kind).toBe('on-tape')
  })

  test('a file whose recall failed states why', async () => {
    const run = await onlyOnTape(here, tape, number)
    const { files } = await requestRecall(here, { runNumber: number }, recall, new Date(), signal)
    await context.put(run.key, 'other contents')
    await advanceRecall(here, files[0]?.replicaId ?? 0, signal, here.log)
    await context.database
      .deleteFrom('replicas')
      .where('kind', '=', 'cloud')
      .where('sha256', '=', run.sha256)
      .execute()
    await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: run.key }))
    expect(await only()).toMatchObject({
      kind: 'on-tape',
      how: expect.stringContaining('the last recall failed: the store holds other'),
    })
  })
})

describe('a file that the store lost', () => {
  const vanish = async (run: TestRun) => {
    await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: run.key }))
    await drainRaised(context)
  }
  const alerts = async () => (await drainRaised(context)).map(({ rule, severity }) => [rule, severity])

  test('a file that the store lost is reported as lost, is missing in the catalogue from then on, and raises one alert', async () => {
    const run = await makeRun(here, number)
    await putOnTape(here, tape, run)
    await vanish(run)
    expect(await only()).toMatchObject({
      kind: 'on-tape',
      how: 'the store has lost it: a copy is on tape; request a recall to bring it back into the store',
    })
    expect(await replicaOf(here, run, 'cloud')).toMatchObject({ state: 'missing', leaseOwner: null })
    expect(await alerts()).toEqual([['copy-missing', 'error']])
    const checkedAt = (await replicaOf(here, run, 'cloud'))?.checkedAt
    expect(await only()).toMatchObject({
      kind: 'on-tape',
      how: expect.stringContaining('the store has lost it'),
    })
    expect((await replicaOf(here, run, 'cloud'))?.checkedAt).toEqual(checkedAt)
    expect(await alerts()).toEqual([])
    expect(await only({ recall })).toMatchObject({ kind: 'recalling', state: 'requested' })
  })

  test('a file that the store lost and that is nowhere else states so, and raises a page', async () => {
    const run = await makeRun(here, number)
    await vanish(run)
    expect(await only()).toMatchObject({
      kind: 'unavailable',
      why: expect.stringMatching(/the store has lost it: .*never copied to tape/),
    })
    expect(await alerts()).toEqual([['last-copy-in-danger', 'page']])
  })

  test('a lost file has a link again when it is back', async () => {
    const run = await makeRun(here, number)
    await vanish(run)
    expect((await only()).kind).toBe('unavailable')
    await context.put(run.key, run.bytes)
    expect((await only()).kind).toBe('link')
  })

  test('a file that is being deleted on purpose is not reported as lost', async () => {
    const run = await makeRun(here, number)
    await putOnTape(here, tape, run)
    const cloud = await replicaOf(here, run, 'cloud')
    // The cleaner holds the claim and has not recorded the deletion yet.
    await claimReplica(context.database, cloud?.id ?? 0, ['present'], {
      owner: 'cleaner',
      leaseSeconds: TEST_LEASE_SECONDS,
    })
    await vanish(run)
    expect(await only()).toMatchObject({ kind: 'on-tape', how: expect.stringMatching(/^it is only on tape/) })
    expect(await replicaOf(here, run, 'cloud')).toMatchObject({ state: 'present', leaseOwner: 'cleaner' })
    expect(await alerts()).toEqual([])
  })

  test('a file of a missing bucket is not reported as lost, nor checked again and again', async () => {
    const run = await makeRun(here, number)
    await putOnTape(here, tape, run)
    const bucket = 'no-such-bucket'
    for (const table of ['runFiles', 'replicas'] as const)
      await context.database.updateTable(table).set({ bucket }).where('objectKey', '=', run.key).execute()
    expect(await only()).toMatchObject({ kind: 'on-tape', how: expect.stringMatching(/^it is only on tape/) })
    const cloud = await replicaOf(here, run, 'cloud')
    expect(cloud).toMatchObject({ state: 'present', lastError: expect.stringContaining('no bucket') })
    expect((await only()).kind).toBe('on-tape')
    expect((await replicaOf(here, run, 'cloud'))?.checkedAt).toEqual(cloud?.checkedAt)
    expect(await alerts()).toEqual([])
  })

  test('lost files are checked within the time of the answer, and the others are reported without a check', async () => {
    const key = (subrun: number) =>
      `LNGS/run${String(number).padStart(5, '0')}sub${String(subrun).padStart(6, '0')}.mid.gz`
    const keys = Array.from({ length: 20 }, (_, subrun) => key(subrun))
    for (const [subrun, name] of keys.entries()) await here.putRun(name, `subrun ${subrun} of ${number}`)
    for (const name of keys)
      await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: name }))
    // The time limit ends once five files were found to be lost.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1000)
    let lost = 0
    const write = (line: string) => {
      if (line.includes('"copy-missing"') && ++lost === 5) clock.mockReturnValue(1000 + LONGEST_WAIT_MS)
    }
    const log = createLogger({ function: 'test', level: 'info', destination: { write } })
    const found = await links({}, { ...here, log })
    const isLost = found.map(
      (link) => link.kind === 'unavailable' && link.why.startsWith('the store has lost it'),
    )
    expect(isLost).toEqual([...Array(5).fill(true), ...Array(15).fill(false)])
    expect(found.every((link) => link.kind === 'unavailable')).toBe(true)
    await drainRaised(context)
  })
})

describe('a file that is nowhere', () => {
  test('a file that is nowhere states what is known of it, and its recall does not promise more', async () => {
    const run = await makeRun(here, number)
    await deleteFromStore(here, run)
    expect(await only({ recall })).toMatchObject({
      kind: 'unavailable',
      why: expect.stringContaining('never copied to tape'),
    })
  })
})

test('a file that came back has a link by the catalogue alone too, until its copy in the store is seen to be missing', async () => {
  const run = await onlyOnTape(here, tape, number)
  const { files } = await requestRecall(here, { runNumber: number }, recall, here.now(), signal)
  await advanceRecall(here, files[0]?.replicaId ?? 0, signal, here.log)
  const byCatalogue = async () => {
    const found = await findFiles(here.database, { runs: [{ runNumber: number, tag: 'LNGS' }] })
    return (await catalogueLinks(here, found, 60, new Date()))[0]?.kind
  }
  expect(await replicaOf(here, run, 'cloud')).toMatchObject({ state: 'deleted' })
  expect(await byCatalogue()).toBe('link')
  await here.database
    .updateTable('replicas')
    .set({ state: 'missing', checkedAt: new Date(Date.now() + 1000) })
    .where('kind', '=', 'cloud')
    .where('runNumber', '=', number)
    .execute()
  expect(await byCatalogue()).toBe('on-tape')
})

test('every file of a run in several files states where it is', async () => {
  const { randomBytes } = await import('node:crypto')
  const key = (subrun: number) =>
    `LNGS/run${String(number).padStart(5, '0')}sub${String(subrun).padStart(6, '0')}.mid.gz`
  for (const subrun of [1, 0]) await here.putRun(key(subrun), randomBytes(100 + subrun))
  expect((await links()).map((link) => [link.kind, link.fileName, link.sizeBytes])).toEqual([
    ['link', key(0).slice(5), 100],
    ['link', key(1).slice(5), 101],
  ])
})

test('an unknown run has no file, and its recall is refused with a sentence', async () => {
  expect(await links()).toEqual([])
  await expect(
    requestRecall(here, { runNumber: number, tag: 'LNGS' }, recall, new Date(), signal),
  ).rejects.toThrow(`run ${number} of LNGS is not in the catalogue`)
})

test('a file that is named is found under an earlier generation of its run number too', async () => {
  const run = await makeRun(here, number)
  const file = { bucket: here.bucket, key: run.key }
  const find = () => findFiles(here.database, { files: [file] })
  expect(await find()).toMatchObject([{ runId: run.runId, isCurrent: true, file }])
  const setCurrent = (isCurrent: boolean) =>
    here.database.updateTable('runs').set({ isCurrent }).where('id', '=', run.runId).execute()
  await setCurrent(false)
  expect(await find()).toMatchObject([{ runId: run.runId, isCurrent: false, file }])
  expect(await links()).toEqual([])
})
