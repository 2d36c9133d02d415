/**
 * Something else answers in place of the tape endpoint for some time: no copy is missing or doubted, none is made
 * twice, no recall ends, and nobody is alerted about single files.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { sweepCopies } from '../../../../shared/copies/tape/sweep-copies.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { verifyReplica } from '../../../../shared/copies/verify/verify.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { signal } from '../../../support/context.ts'
import { deleteFromStore, makeRun, type TestRun } from '../../../support/recalled-runs.ts'
import { shownRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { copyNext } from '../../../support/tape-copies.ts'
import { startTapeRestServer, type TapeRestServer } from '../../../support/tape-rest-server.ts'
import { startWebdavFixture, type WebdavFixture } from '../../../support/webdav-fixture.ts'
import type { Met } from '../../../support/webdav-server.ts'

const RUNS = [1, 2, 3, 4]
let endpoint: WebdavFixture
let rest: TapeRestServer
let context: TestTapeContext
let clockMs: number
beforeEach(async () => {
  clockMs = Date.now()
  endpoint = await startWebdavFixture({ tapeRest: 'auto' })
  rest = await startTapeRestServer()
  endpoint.server.elsewhere.set('/.well-known/wlcg-tape-rest-api', () =>
    fetch(`${rest.origin}/.well-known/wlcg-tape-rest-api`),
  )
  context = await startTestTapeContext({ driver: () => endpoint.driver, now: () => new Date(clockMs) })
})
afterEach(() => Promise.all([context.close(), endpoint.close(), rest.close()]))

const page = '<html>Maintenance until 18:00</html>'
const answerPage = ({ request, response }: Met) => {
  response.writeHead(200, { 'content-type': 'text/html', 'content-length': page.length })
  response.end(request.method === 'HEAD' ? undefined : page)
}
/** The storage behind the endpoint is not mounted: its root is an empty folder. */
const answerEmpty = ({ request, response, name, proceed }: Met) => {
  if (request.method === 'PROPFIND' && name === '') return proceed()
  response.writeHead(404).end()
}
const answerAsPlainServer = ({ request, response }: Met) =>
  void response.writeHead(request.method === 'PROPFIND' ? 405 : 404).end()

/** @returns ends it. */
function replaceEndpoint(answer: (met: Met) => void): () => void {
  let isReplaced = true
  const answerFor = (met: Met) => (isReplaced ? answer(met) : met.proceed())
  for (const method of ['HEAD', 'GET', 'PROPFIND', 'COPY']) endpoint.server.meet(method, answerFor, 1e9)
  return () => {
    isReplaced = false
  }
}

async function copiedRuns() {
  const runs: TestRun[] = []
  for (const runNumber of RUNS) {
    const run = await makeRun(context, runNumber)
    runs.push(run)
    const { key, tag, sha256 } = run
    const { bucket } = context
    rest.localities.set(`/cygno/${bucket}/${key}`, 'DISK_AND_TAPE')
    await acceptTapeRequest(context, { tag, runNumber, bucket, key, sha256, priority: 'live' })
    await copyNext(context, signal, context.log)
  }
  return runs
}
const copiesOnTape = () =>
  context.database.selectFrom('replicas').selectAll().where('kind', '=', 'tape').orderBy('id').execute()
const alertsOfFiles = async () => {
  const rows = await context.database.selectFrom('outbox').select('name').execute()
  const names = rows.map(({ name }) => name)
  return names.filter((name) => /copy-suspicious|copy-missing|last-copy|recall-failed|name-taken/.test(name))
}

test.each([
  ['a page', answerPage],
  ['a server without WebDAV', answerAsPlainServer],
  ['an empty root', answerEmpty],
])(
  '%s in place of the endpoint makes no copy missing or suspicious, and none is made again',
  async (_, answer) => {
    await copiedRuns()
    const copies = await copiesOnTape()
    expect(copies.map(({ state }) => state)).toEqual(RUNS.map(() => 'on-media'))
    const filesBefore = endpoint.server.files.size
    const endOutage = replaceEndpoint(answer)
    for (const { id } of copies) {
      const options = { readBack: 'if-needed', secondCheckMs: 1 } as const
      expect((await verifyReplica(context, id, options, signal, context.log))?.outcome).toBe('unknown')
    }
    endOutage()
    await sweepCopies(context, signal)
    for (const _run of RUNS) await copyNext(context, signal, context.log)
    expect((await copiesOnTape()).map(({ state, doubtedEvidence }) => [state, doubtedEvidence])).toEqual(
      RUNS.map(() => ['on-media', null]),
    )
    expect(endpoint.server.files.size).toBe(filesBefore)
    expect(await alertsOfFiles()).toEqual([])
  },
)

test.each([
  ['a page', answerPage],
  ['a server without WebDAV', answerAsPlainServer],
  ['an empty root', answerEmpty],
])('recalls go on after %s was in place of the endpoint', async (_, answer) => {
  for (const run of await copiedRuns()) await deleteFromStore(context, run)
  for (const { name } of await copiesOnTape()) rest.localities.set(`/cygno/${name}`, 'TAPE')
  const ids: number[] = []
  for (const runNumber of RUNS) {
    const request = { runNumber, tag: 'LNGS' }
    const now = context.now()
    const { files } = await requestRecall(context, request, { days: 7, requestedBy: 'test' }, now, signal)
    ids.push(files[0]?.replicaId ?? 0)
  }
  await advanceRecalls(context, signal, context.log)
  for (const { name } of await copiesOnTape()) rest.localities.set(`/cygno/${name}`, 'DISK_AND_TAPE')
  const endOutage = replaceEndpoint(answer)
  for (let beat = 0; beat < 8; beat++) {
    clockMs += 60_000
    await advanceRecalls(context, signal, context.log)
  }
  const states = async () =>
    await Promise.all(ids.map(async (id) => (await shownRecall(context.database, id)).state))
  expect(await states()).not.toContain('given-up')
  expect(await alertsOfFiles()).toEqual([])
  endOutage()
  for (let beat = 0; beat < 8; beat++) {
    clockMs += 60_000
    await advanceRecalls(context, signal, context.log)
  }
  expect(await states()).toEqual(RUNS.map(() => 'present'))
  expect((await copiesOnTape()).map(({ state }) => state)).toEqual(RUNS.map(() => 'on-media'))
})

test('at an endpoint without a Tape REST API an empty root makes no copy missing', async () => {
  const { driver } = await startWebdavFixture({ tapeRest: 'never' }, endpoint)
  const own = { ...context, tape: driver }
  try {
    await copiedRuns()
    const endOutage = replaceEndpoint(answerEmpty)
    const options = { readBack: 'if-needed', secondCheckMs: 1 } as const
    const outcomes = []
    for (const { id } of await copiesOnTape())
      outcomes.push((await verifyReplica(own, id, options, signal, own.log))?.outcome)
    endOutage()
    expect(outcomes).toEqual(RUNS.map(() => 'unknown'))
    expect((await copiesOnTape()).map(({ state }) => state)).toEqual(RUNS.map(() => 'on-media'))
  } finally {
    await driver.close()
  }
})
