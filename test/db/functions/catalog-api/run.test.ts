import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerRun } from '../../../../functions/catalog-api/api/run.ts'
import { runDetails, runFiles } from '../../../../functions/catalog-api/api/schemas.ts'
import { copyToTape, record } from '../../../support/catalogue.ts'
import { ANONYMOUS, caller, type RestApp, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { BEGIN_OF_RUN, metadataOf, versionOf } from '../../../support/metadata.ts'
import { addFailedArrival } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let app: RestApp

beforeAll(async () => {
  context = await startTestTapeContext()
  app = restApp(context, registerRun)
  await record(context.database, versionOf('LNGS/run00010.mid.gz', 'one'), metadataOf(10))
  await copyToTape(context.database, 10)
  await record(context.database, versionOf('FLASH/2024/run00011.mid.gz', 'two'), metadataOf(11), {
    tag: 'FLASH/2024',
  })
  // The number is used again; the earlier use keeps its file under another name.
  await record(context.database, versionOf('LNGS/run00012.mid.gz', 'a'), metadataOf(12))
  await record(context.database, versionOf('LNGS/run12.mid.gz', 'b'), {
    ...metadataOf(12, {}, 'other'),
    startedAt: BEGIN_OF_RUN + 86_400,
  })
})
afterAll(() => context.close())

describe('one run', () => {
  test('is returned with all its details, as in its schema', async () => {
    const { status, json } = await app.get('/api/v1/runs/LNGS/10')
    expect(status).toBe(200)
    expect(runDetails.parse(json)).toMatchObject({
      tag: 'LNGS',
      runNumber: 10,
      current: true,
      complete: true,
      parameters: { exposure_sec: 0.3 },
      storage: { cloud: 'present', tape: 'on-media' },
      files: [{ key: 'LNGS/run00010.mid.gz', md5: metadataOf(10).checksums.md5, live: true }],
      banks: [
        { bank: 'CAM0', count: 20 },
        { bank: 'DIG0', count: 20 },
      ],
      events: [
        { eventId: 1, events: 20 },
        { eventId: 5, events: 1 },
      ],
      replicas: [{ kind: 'cloud' }, { kind: 'tape', state: 'on-media' }],
      requests: expect.arrayContaining([expect.objectContaining({ queue: 'tape-requests' })]),
      history: expect.arrayContaining([expect.objectContaining({ what: 'catalogued' })]),
      uses: [{ current: true }],
    })
    expect(Object.keys(json.parameters).filter((name) => name.startsWith('storage_'))).toEqual([])
  })

  test('has one query parameter; an unknown one is refused, not ignored', async () => {
    expect((await app.get('/api/v1/runs/LNGS/12?uses=1')).status).toBe(400)
    expect((await app.get('/api/v1/runs/LNGS/12/files?uses=1')).status).toBe(400)
  })

  test('of a tag with a slash is found by one segment of the path', async () => {
    const { status, json } = await app.get('/api/v1/runs/FLASH%2F2024/11', caller('read:FLASH/2024'))
    expect([status, json.tag]).toEqual([200, 'FLASH/2024'])
    expect((await app.get('/api/v1/runs/FLASH%2F2024/11')).status).toBe(403)
  })

  test('whose number was used again is the latest; the others are named and can be asked for', async () => {
    const { json } = await app.get('/api/v1/runs/LNGS/12')
    expect(json.uses).toHaveLength(2)
    expect(json.use).toBe(json.uses[0].use)
    const { json: earlier } = await app.get(`/api/v1/runs/LNGS/12?use=${json.uses[1].use}`)
    expect(earlier).toMatchObject({
      current: false,
      use: json.uses[1].use,
      files: [{ key: 'LNGS/run00012.mid.gz' }],
    })
    const { json: other } = await app.get('/api/v1/runs/LNGS/10')
    expect((await app.get(`/api/v1/runs/LNGS/12?use=${other.use}`)).status).toBe(404)
  })

  test('has an ETag that changes with it', async () => {
    const { headers } = await app.get('/api/v1/runs/LNGS/10')
    const etag = headers.get('etag') ?? ''
    expect((await app.get('/api/v1/runs/LNGS/10', undefined, { 'if-none-match': etag })).status).toBe(304)
    expect((await app.get('/api/v1/runs/LNGS/10', undefined, { 'if-none-match': '*' })).status).toBe(304)
    await context.database
      .updateTable('runs')
      .set({ description: 'changed' })
      .where('runNumber', '=', 10)
      .execute()
    expect((await app.get('/api/v1/runs/LNGS/10', undefined, { 'if-none-match': etag })).status).toBe(200)
  })

  test.each([
    ['/api/v1/runs/LNGS/999', 404],
    ['/api/v1/runs/LNGS/run10', 400],
    ['/api/v1/runs/LNGS/4294967296', 400],
    ['/api/v1/runs/LNGS/-1', 400],
    ['/api/v1/runs/LNGS/10?use=x', 400],
    ['/api/v1/runs/LNF/10', 403],
    ['/api/v1/runs/..%2FLNGS/10', 403],
    ['/api/v1/runs/%FF/10', 403],
  ])('%s is answered %i', async (path, status) => {
    const answer = await app.get(path)
    expect(answer.status).toBe(status)
    expect(answer.json).toMatchObject({ status, detail: expect.stringMatching(/\w/) })
  })

  test('asks an anonymous caller to sign in', async () => {
    const { status, headers } = await app.get('/api/v1/runs/LNGS/10', ANONYMOUS)
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
  })
})

test('the files of a run are returned with their checksums, the current ones first', async () => {
  await record(
    context.database,
    versionOf('LNGS/run00010.mid.gz', 'again'),
    metadataOf(10, {}, 'written anew'),
  )
  const { status, json, headers } = await app.get('/api/v1/runs/LNGS/10/files')
  expect(status).toBe(200)
  expect(runFiles.parse(json).files.map((file) => [file.live, file.etag])).toEqual([
    [true, 'again'],
    [false, 'one'],
  ])
  expect(
    (await app.get('/api/v1/runs/LNGS/10/files', undefined, { 'if-none-match': headers.get('etag') ?? '' }))
      .status,
  ).toBe(304)
  expect((await app.get('/api/v1/runs/LNGS/999/files')).status).toBe(404)
})

test('a run that is not in the catalogue is reported with the arrivals of its files', async () => {
  await addFailedArrival(context, 'LNGS/run00777.mid.gz', 'the store answered 503')
  for (const path of ['/api/v1/runs/LNGS/777', '/api/v1/runs/LNGS/777/files']) {
    const { status, json } = await app.get(path)
    expect(status).toBe(404)
    expect(json.detail).toMatch(
      /^run 777 of LNGS is not in the catalogue, but its files were reported: cygno-data\/LNGS\/run00777\.mid\.gz: failed since .* UTC after 6 attempts: the store answered 503$/,
    )
  }
  expect((await app.get('/api/v1/runs/LNGS/778')).json.detail).toBe('run 778 of LNGS is not in the catalogue')
})
