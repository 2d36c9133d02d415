import { afterAll, beforeAll, expect, test } from 'vitest'
import { registerLocalCopies } from '../../../../functions/catalog-api/api/local-copies.ts'
import {
  ANONYMOUS,
  caller,
  machineCaller,
  type RestApp,
  restApp,
} from '../../../support/functions/catalog-api/rest-app.ts'
import {
  type CataloguedObject,
  startTestTapeContext,
  type TestTapeContext,
} from '../../../support/tape-context.ts'

const DAQ = machineCaller('daq-1', 'push:LNGS')

let context: TestTapeContext
let app: RestApp
let run: CataloguedObject
beforeAll(async () => {
  context = await startTestTapeContext()
  app = restApp(context, registerLocalCopies)
  run = await context.putRun('LNGS/run00001.mid.gz', 'the bytes of a run')
})
afterAll(() => context?.close())

const report = (more: object = {}, who = DAQ) =>
  app.post(
    `/api/v1/files/${context.bucket}/${run.object.key}/local-copies`,
    {
      sha256: run.sha256,
      sizeBytes: run.object.sizeBytes,
      host: 'daq-1',
      path: '/data/run.mid.gz',
      there: true,
      ...more,
    },
    who,
  )
const local = () =>
  context.database.selectFrom('replicas').selectAll().where('kind', '=', 'local').executeTakeFirst()

test('a file on a disk is recorded with the reported time, and as missing when it no longer exists', async () => {
  const readAt = '2026-01-15T08:00:03.000Z'
  expect(await report({ readAt })).toMatchObject({ status: 200, json: { noted: true } })
  expect(await local()).toMatchObject({
    state: 'present',
    endpoint: 'daq-1',
    name: '/data/run.mid.gz',
    verifiedAt: new Date(readAt),
  })
  expect((await report({ there: false })).json).toEqual({ noted: true })
  expect(await local()).toMatchObject({ state: 'missing' })
})

test('a file is never noted as read later than now, by whatever clock the machine has', async () => {
  const before = Date.now()
  await report({ readAt: '2999-01-01T00:00:00Z' })
  const verifiedAt = (await local())?.verifiedAt?.getTime() ?? 0
  expect(verifiedAt).toBeGreaterThanOrEqual(before - 1000)
  expect(verifiedAt).toBeLessThanOrEqual(Date.now() + 1000)
})

test('contents that are not catalogued yet are not noted: they are reported again later', async () => {
  expect((await report({ sha256: 'f'.repeat(64) })).json).toEqual({ noted: false })
})

test('only callers who may push runs of the tag may report a file of it, in the expected form', async () => {
  expect((await report({}, ANONYMOUS)).status).toBe(401)
  expect((await report({}, caller('push:LNF', 'read:LNGS'))).status).toBe(403)
  for (const wrong of [
    { path: 'run.mid' },
    { host: 'a b' },
    { there: 'yes' },
    { readAt: 'now' },
    { more: 1 },
  ])
    expect((await report(wrong)).status).toBe(400)
})
