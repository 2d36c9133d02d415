/** Any text from outside, through every place where it enters, to every place where it is kept or shown. */
import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parseTag } from '../../cli/arguments.ts'
import * as runs from '../../cli/commands/runs.ts'
import { createHandler } from '../../functions/catalog-api/handler.ts'
import { createToken } from '../../shared/access/tokens.ts'
import { findArrival } from '../../shared/catalogue/arrivals.ts'
import { takeLoggedRuns } from '../../shared/ingest/logged-runs.ts'
import { processArrival } from '../../shared/ingest/process-arrival.ts'
import { createLogger } from '../../shared/log.ts'
import { encodeNotification } from '../../shared/messages/runs.ts'
import type { ObjectArrival } from '../../shared/notifications/arrival.ts'
import { parseNotification } from '../../shared/notifications/parse.ts'
import { describeRun, findRuns } from '../../shared/queries/runs.ts'
import { isTag } from '../../shared/run.ts'
import { isWellFormed, wellFormed } from '../../shared/text.ts'
import { anyText } from '../support/any-text.ts'
import { record, runlogRow } from '../support/catalogue.ts'
import { cygnet, serve } from '../support/cli/in-process.ts'
import { arrivalOf, signal } from '../support/context.ts'
import { metadataOf, versionOf } from '../support/metadata.ts'
import { beginOfRun, text as bytesOf, cameraEvent, concat, endOfRun } from '../support/midas-run.ts'
import { startTestTapeContext, type TestTapeContext } from '../support/tape-context.ts'

const RUNS = { numRuns: 25 }

let context: TestTapeContext
let api: ReturnType<typeof createHandler>
let token: string
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  api = createHandler(context)
  const ana = { name: 'ana', scopes: ['read:*', 'operate:*', 'link:*'], days: 1 }
  token = (await createToken(context.database, ana, new Date())).secret
})
afterAll(() => context.close())

const ask = async (path: string, init: RequestInit = {}) =>
  await api.fetch(
    new Request(`http://localhost${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    }),
  )

let lastRun = 100
const descriptionOf = async (runNumber: number) => {
  const [run] = await findRuns(context.database, { runNumber })
  return run === undefined ? undefined : await describeRun(context.database, run)
}

/** A run whose dumps have the description, in JSON with an escape for every unit, or in XML. */
const runWith = (runNumber: number, description: string, dialect: 'json' | 'xml') => {
  const units = [...description].flatMap((character) => character.split('')).map((unit) => unit.charCodeAt(0))
  const json = units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  const xml = Array.from(description, (character) => `&#x${character.codePointAt(0)?.toString(16)};`).join('')
  const dump = bytesOf(
    dialect === 'json'
      ? `{"Runinfo":{"Run number":${runNumber}},"Experiment":{"Run Parameters":{"Run description/key":{"type":12},"Run description":"${json}"}}}`
      : `<?xml version="1.0"?><odb root="/"><dir name="Experiment"><dir name="Run Parameters"><key name="Run description" type="STRING">${xml}</key></dir></dir></odb>`,
  )
  return concat(beginOfRun(runNumber, dump), cameraEvent(0), endOfRun(runNumber, dump))
}

async function drop(runNumber: number, bytes: Uint8Array, log = context.log) {
  const arrival = await context.put(`LNGS/run${String(runNumber).padStart(5, '0')}.mid`, bytes)
  return await processArrival(context, arrival, signal, log)
}

describe.each(['json', 'xml'] as const)('an ODB dump in %s', (dialect) => {
  test('with half a surrogate pair in a text is catalogued, with a warning of the file', async () => {
    const runNumber = ++lastRun
    expect(await drop(runNumber, runWith(runNumber, 'a\ud83db', dialect))).toBe('catalogued')
    const run = await descriptionOf(runNumber)
    expect(run?.run.description).toBe('a\ufffdb')
    expect(run?.files[0]?.warnings).toEqual([expect.objectContaining({ code: 'odb-text' })])
    const [file] = run?.files ?? []
    expect(file?.complete).toBe(true)
  })

  test('with any text is catalogued; database, API, page and CLI show it', async () => {
    const server = await serve({ fetch: (request) => api.fetch(request) })
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        const runNumber = ++lastRun
        expect(await drop(runNumber, runWith(runNumber, text, dialect))).toBe('catalogued')
        const kept = wellFormed(text)
        const run = await descriptionOf(runNumber)
        expect(run?.run.description).toBe(kept)
        expect(run?.files[0]?.warnings).toHaveLength(kept === text ? 0 : 1)
        expect((await runlogRow(context.database, runNumber))?.run_description).toBe(kept)
        const answer = await ask(`/api/v1/runs/LNGS/${runNumber}`)
        expect(await answer.json()).toMatchObject({ parameters: { run_description: kept } })
        const page = await (await ask(`/runs/LNGS/${runNumber}`)).text()
        expect(isWellFormed(page)).toBe(true)
        const shown = await cygnet(
          [runs],
          { CYGNET_API_URL: server.url, CYGNET_API_TOKEN: token },
          ...['runs', 'show', String(runNumber), '--tag', 'LNGS'],
        )
        expect(shown).toMatchObject({ code: 0, error: null })
        // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would obey them
        expect(shown.stdout.replaceAll('\n', '')).not.toMatch(/[\0-\u001f\u007f-\u009f]/)
      }),
      RUNS,
    )
    vi.unstubAllEnvs()
    await server.close()
  })
})

test('any key arrives unchanged: in the ledger, the queues, the log and the alert', async () => {
  await fc.assert(
    fc.asyncProperty(anyText, async (text) => {
      const key = `${++lastRun}${text.toWellFormed()}/Run7.mid.gz`
      const lines: string[] = []
      const log = createLogger({
        function: 'test',
        level: 'info',
        destination: { write: (line) => void lines.push(line) },
      })
      const sent: ObjectArrival = { ...arrivalOf(context.bucket, key, 'e'), eventTime: null }
      await context.queues.send('runs', [encodeNotification([sent])], signal)
      const [message] = await context.drain('runs')
      const { arrivals } = parseNotification(message)
      expect(arrivals).toEqual([sent])
      const [arrival = sent] = arrivals
      expect(await processArrival(context, arrival, signal, log)).toBe('invalid')
      expect((await findArrival(context.database, arrival))?.objectKey).toBe(key)
      expect(lines.map((line) => JSON.parse(line).key)).toContain(key)
      expect(await context.drain('alerts')).toMatchObject([{ rule: 'misnamed-object', key }])
    }),
    RUNS,
  )
})

test('any JSON passes through a queue unchanged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyText, { minLength: 1, maxLength: 4 }), async (texts) => {
      await context.queues.send('alerts', [JSON.stringify({ texts })], signal)
      expect(await context.drain('alerts')).toEqual([{ texts }])
    }),
    RUNS,
  )
})

test('any text in a request of the API is kept exactly or refused with a reason', async () => {
  await record(context.database, versionOf('LNGS/run00001.mid.gz', 'e'), metadataOf(1, {}, 'e'))
  await fc.assert(
    fc.asyncProperty(anyText, anyText, async (description, reason) => {
      const answer = await ask('/api/v1/runs/LNGS/1/parameters', {
        method: 'PATCH',
        body: JSON.stringify({ parameters: { run_description: description }, reason: `because ${reason}` }),
      })
      const isKept = isWellFormed(description) && isWellFormed(reason)
      expect(answer.status).toBe(isKept ? 200 : 400)
      const json = await answer.json()
      if (isKept) expect(json).toMatchObject({ parameters: { run_description: description } })
      else expect(json).toMatchObject({ detail: expect.stringContaining('U+FFFE') })
    }),
    RUNS,
  )
})

test('any tag is one of the documented alphabet, or refused by API, CLI and scopes alike', async () => {
  await fc.assert(
    fc.asyncProperty(anyText, async (tag) => {
      const query = `/api/v1/runs?tag=${encodeURIComponent(tag.toWellFormed())}`
      // The catalogue does not know it.
      expect((await ask(query)).status).toBe(isTag(tag.toWellFormed()) ? 404 : 400)
      if (isTag(tag)) expect(parseTag(tag)).toBe(tag)
      else expect(() => parseTag(tag)).toThrow()
    }),
    RUNS,
  )
})

test.each(['*', 'a\\b', 'LN\u202eGS', 'LNGS\uffff', ' LNGS'])(
  'a run file in %j, which is no tag, is kept as invalid, alerted once and never tried again',
  async (tag) => {
    const arrival = await context.put(`${tag}/run00009.mid`, runWith(9, 'text', 'json'))
    for (let time = 0; time < 2; time++)
      expect(await processArrival(context, arrival, signal, context.log)).toBe('invalid')
    expect(await findArrival(context.database, arrival)).toMatchObject({
      state: 'invalid',
      nextAttemptAt: null,
      reason: expect.stringContaining('a tag has letters'),
    })
    expect(await context.drain('alerts')).toMatchObject([{ rule: 'misnamed-object', key: arrival.key }])
  },
)

test('any description that the logger wrote into the Runlog is taken', async () => {
  await fc.assert(
    fc.asyncProperty(anyText, async (text) => {
      const runNumber = ++lastRun
      await sql`INSERT INTO Runlog (tag, run_number, run_description, start_time)
        VALUES ('LNGS', ${runNumber}, ${text}, '2026-03-01 12:00:00')`.execute(context.database)
      await takeLoggedRuns(context)
      expect((await descriptionOf(runNumber))?.run.description).toBe(wellFormed(text))
    }),
    RUNS,
  )
})
