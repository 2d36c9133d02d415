/** What the pages Now, Run and Queues answer first, from the catalogue; and how they write times and terms. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import { siteArrivals } from '../../../../shared/queries/site-arrivals.ts'
import {
  addCopiesInAllStates,
  addFailedArrival,
  fillSite,
  makeRun,
  OPERATOR,
  siteApp,
} from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let site: Api
const page = async (path: string) => (await site.app.request(path)).text()
const MINUTE_S = 60

/** As if each run of the tag had arrived five minutes after its begin. */
async function arriveInTime(tag: string): Promise<void> {
  const runs = await context.database
    .selectFrom('runs')
    .select(['id', 'startedAt'])
    .where('tag', '=', tag)
    .execute()
  for (const { id, startedAt } of runs) {
    const at = new Date((startedAt?.getTime() ?? 0) + 5 * MINUTE_S * 1000)
    await context.database
      .updateTable('runs')
      .set({ firstFileAt: at, cataloguedAt: at })
      .where('id', '=', id)
      .execute()
  }
}

beforeAll(async () => {
  context = await startTestTapeContext()
  site = siteApp(context, () => OPERATOR)
  await fillSite(context)
  await addCopiesInAllStates(context)
  for (const tag of ['LNF', 'LNGS']) await arriveInTime(tag)
  await makeRun(context, { tag: 'NEXT', runNumber: 1, ago: 8 * MINUTE_S })
  await makeRun(context, { tag: 'NEXT', runNumber: 2, ago: 7 * MINUTE_S, odb: { GEM1_V: 430 } })
  await makeRun(context, { tag: 'NEXT', runNumber: 5, ago: 6 * MINUTE_S })
  await makeRun(context, { tag: 'NEXT', runNumber: 4, ago: 5 * MINUTE_S })
  await makeRun(context, { tag: 'GAP', runNumber: 1, ago: 8 * MINUTE_S })
  const notStated = { GEM1_V: null, DRIFT_V: null }
  await makeRun(context, { tag: 'GAP', runNumber: 2, ago: 7 * MINUTE_S, odb: notStated })
  await makeRun(context, { tag: 'GAP', runNumber: 3, ago: 6 * MINUTE_S })
})
afterAll(() => context.close())

describe('Now', () => {
  const sentences = async () => {
    const text = await page('/')
    const list = /<ul class="verdict sentences".*?<\/ul>/s.exec(text)?.[0] ?? ''
    return list
      .split('</li>')
      .map((line) => line.replaceAll(/<[^>]*>/g, '').replaceAll('&nbsp;', ' '))
      .map((line) => line.trim())
  }

  test('says of each site whether it takes data, and since when it is silent', async () => {
    const lines = await sentences()
    expect(lines).toContainEqual(
      expect.stringMatching(/^●NEXT is taking data\. Last run 4 arrived \d+ (?:s|min) ago\.$/),
    )
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^○LNF is silent\. Last arrival [23] h ago, \d{4}-\d\d-\d\d [\d:]{8} UTC \(run 7012, ended normally\)\. Usually a run arrives every 14 h\.$/,
      ),
    )
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^◐MAN sends older runs\. The last arrived \d+ (?:s|min) ago; run 11300 was taken 40 d ago\.$/,
      ),
    )
  })

  test('counts arrivals hour by hour, and compares the last hour with the one before', async () => {
    const arrivals = await siteArrivals(context.database, ['NEXT', 'LNGS', 'NOBODY'], new Date())
    expect(arrivals.get('NEXT')?.perHour.at(-1)).toBe(4)
    // The runs were made one after the other, within minutes at most.
    expect(Math.floor((arrivals.get('LNGS')?.usualGapMs ?? 0) / 3_600_000)).toBe(7)
    expect(arrivals.get('LNGS')?.perHour.filter((runs) => runs > 0)).toEqual([1, 1, 1, 1])
    expect(arrivals.get('NOBODY')).toMatchObject({ lastAt: null, usualGapMs: null })
    expect(await page('/')).toContain(
      '<strong>4 runs</strong> arrived in the last hour, 0 in the hour before',
    )
  })

  test('history that is read in is no arrival', async () => {
    await makeRun(context, { tag: 'OLD', runNumber: 9, ago: 4 * MINUTE_S })
    const { database } = context
    await database.updateTable('runs').set({ isHistory: true }).where('tag', '=', 'OLD').execute()
    expect((await siteArrivals(database, ['OLD'], new Date())).get('OLD')?.lastAt).toBeNull()
    expect(await sentences()).toContainEqual(
      expect.stringMatching(/^◌OLD has sent nothing since it was taken over\./),
    )
  })

  test('shows the last runs, with what is wrong with them in words', async () => {
    const strip = /<ol aria-labelledby="site-LNGS-strip">.*?<\/ol>/s.exec(await page('/'))?.[0] ?? ''
    expect(strip.match(/<li>/g)).toHaveLength(12)
    expect(strip).toMatch(/not complete[^<]*<\/span> <a href="\/runs\/LNGS\/60019">/)
  })

  test('without a site shows the commands that play a detector', async () => {
    const empty = await startTestTapeContext()
    const text = await (await siteApp(empty, () => OPERATOR).app.request('/')).text()
    expect(text).toContain('No site has sent a run yet.')
    expect(text).toContain('cygnet simulate --runs 3')
    expect(text).not.toContain('aria-label="Sites"')
    await empty.close()
  })
})

describe('green', () => {
  const row = async (path: string, run: number) =>
    new RegExp(`<tr>(?:(?!</tr>).)*/runs/LNGS/${run}"(?:(?!</tr>).)*</tr>`, 's').exec(
      await page(path),
    )?.[0] ?? ''
  const DAY_MS = 86_400_000
  const verify = (run: number, days: number | null) =>
    context.database
      .updateTable('replicas')
      .set({ verifiedAt: days === null ? null : new Date(Date.now() - days * DAY_MS) })
      .where('tag', '=', 'LNGS')
      .where('runNumber', '=', run)
      .execute()

  test('in the list of runs is only what was verified within the time of the scrub', async () => {
    expect((await row('/runs?tag=LNGS', 60_012)).match(/mark good/g)).toHaveLength(3)
    await verify(60_012, 91)
    const old = await row('/runs?tag=LNGS', 60_012)
    expect(old).not.toContain('mark good')
    expect(old.match(/mark old/g)).toHaveLength(3)
    expect(old).toMatch(/on tape<\/span> <small class="quiet">verified <time [^>]*>91 d<\/time> ago<\/small>/)
    expect(old).toMatch(/present<\/span> <small class="quiet">verified <time [^>]*>91 d<\/time> ago<\/small>/)
    await verify(60_012, 1)
  })

  test('are the last runs of a site on Now only while a copy of each was verified so lately', async () => {
    const strip = async () =>
      /<ol aria-labelledby="site-LNGS-strip">.*?<\/ol>/s.exec(await page('/'))?.[0] ?? ''
    const markOf = async () => /<li>(?:(?!<li>).)*LNGS\/60014"/s.exec(await strip())?.[0] ?? ''
    expect(await markOf()).toContain('mark good')
    await verify(60_014, 91)
    expect(await markOf()).toContain('mark old')
    await verify(60_014, 1)
  })

  test('is no verdict on all data, of which nobody knows how lately each copy was verified', async () => {
    expect(await page('/replicas')).not.toContain('<li class="good">')
    expect(await page('/replicas?tag=MAN')).toContain('All runs are on tape')
    expect(await page('/replicas?tag=MAN')).not.toContain('<li class="good">')
  })
})

describe('Run', () => {
  test('leads to the previous, the next and the latest run of its site', async () => {
    const text = await page('/runs/NEXT/1')
    expect(text).toMatch(/<a href="\/runs\/NEXT\/2" rel="next">/)
    // The run that began last, whatever its number.
    expect(text).toContain('<a href="/runs/NEXT/4">latest 4 »</a>')
    expect(await page('/runs/NEXT/4')).toContain('<span class="quiet">latest</span>')
  })

  test('marks the conditions that differ from those of the run before', async () => {
    const text = await page('/runs/NEXT/2')
    expect(text).toContain('<strong>1 differs</strong> from <a href="/runs/NEXT/1">run 1</a>')
    expect(text).toMatch(
      /<div class="differs"><dt><abbr title="GEM1_V">GEM 1 voltage<\/abbr><\/dt><dd>430 .{0,40}<dd class="was">was 440 /,
    )
    expect(text.match(/class="differs"/g)).toHaveLength(1)
    expect(await page('/runs/NEXT/1')).not.toContain('class="differs"')
    expect(await page('/runs/GAP/2')).toContain('<strong>2 differ</strong> from <a href="/runs/GAP/1">')
    expect(await page('/runs/GAP/2')).toMatch(
      /<div class="differs"><dt><abbr title="GEM1_V">GEM 1 voltage<\/abbr><\/dt><dd>not stated<\/dd><dd class="was">was 440 /,
    )
    expect(await page('/runs/GAP/3')).toMatch(
      /GEM 1 voltage<\/abbr><\/dt><dd>440 .{0,40}<dd class="was">was not stated</,
    )
    expect(await page('/runs/LNGS/60010')).toContain('as in <a href="/runs/LNGS/60009">run 60009</a>')
  })

  test('states what each copy rests on and since when, and that it is safe only with a copy on tape', async () => {
    const text = await page('/runs/LNGS/60010')
    expect(text).toMatch(/<li class="good"><strong>.{0,99}Complete and on tape<\/span>/)
    expect(text).toMatch(
      /<span class="place">tape<\/span> <span class="mark good">.{0,60}on tape<\/span> <span class="proof quiet">all bytes read and compared <time [^>]*>\d+ (?:s|min)<\/time> ago/,
    )
    expect(await page('/runs/LNGS/60016')).not.toContain('<li class="good"><strong>')
  })

  test('is got by one click, and by a command, curl, Python and wget', async () => {
    const text = await page('/runs/LNGS/60010')
    expect(text).toContain('<button class="main">Get links</button>')
    for (const id of ['as-curl', 'as-python', 'as-cygnet', 'as-wget'])
      expect(text).toContain(`<pre id="${id}"`)
    expect(text).toContain('cygnet get 60010 --tag LNGS')
    expect(text).toContain('/api/v1/runs/LNGS/60010/links?format=wget')
  })
})

describe('every page', () => {
  test.each(['/', '/runs/LNGS/60017', '/runs/LNGS/60010', '/replicas', '/queues'])(
    '%s writes the zone with every time, and one word for every state',
    async (path) => {
      const text = await page(path)
      const times = [...text.matchAll(/<time ([^>]*)>(.*?)<\/time>/gs)]
      expect(times.length).toBeGreaterThan(0)
      for (const [whole, attributes = ''] of times)
        expect(whole).toMatch(/title=/.test(attributes) ? /title="[^"]* UTC"/ : /UTC/)
      expect(times.filter(([, , shown = '']) => /\d{4}-/.test(shown) && !shown.includes('UTC'))).toEqual([])
      const words = text.replaceAll(/<[^>]*>/g, ' ')
      expect(words).not.toMatch(/\b(?:on-media|under-way)\b/)
      expect(words).not.toMatch(/UTC\s+UTC/)
      expect(text).not.toContain('</span>there<')
    },
  )
})

describe('Queues', () => {
  test('says that nothing is stuck only where nothing is', async () => {
    const empty = await startTestTapeContext()
    const app = siteApp(empty, () => OPERATOR)
    expect(await (await app.app.request('/queues')).text()).toContain('Nothing is stuck')
    await empty.database
      .insertInto('breakers')
      .values({
        dependency: 'tape:davs://tape.example.org',
        failures: 3,
        openSince: new Date(Date.now() - 5 * MINUTE_S * 1000),
        probeAt: new Date(Date.now() + 100_000),
        lastError: 'the endpoint answered 503 <b>',
      })
      .execute()
    const text = await (await app.app.request('/queues')).text()
    expect(text).not.toContain('Nothing is stuck')
    expect(text).toContain('The tape endpoint davs://tape.example.org fails')
    expect(text).toContain('the endpoint answered 503 &lt;b&gt;')
    await empty.database.deleteFrom('breakers').execute()
    await addFailedArrival(empty, 'LNGS/run00001.mid.gz', 'the store answered 500')
    const failing = await (await app.app.request('/queues')).text()
    expect(failing).not.toContain('Nothing is stuck')
    expect(failing).toContain('1 file could not be catalogued so far')
    expect(failing).toContain('the store answered 500')
    // The object is not in the store any more.
    await empty.database.updateTable('arrivals').set({ outcome: 'gone', nextAttemptAt: null }).execute()
    expect(await (await app.app.request('/queues')).text()).toContain('Nothing is stuck')
    await empty.close()
  })

  test('does not say of work that was given up that it is tried again', async () => {
    const own = await startTestTapeContext()
    await makeRun(own, { tag: 'LNGS', runNumber: 60_017, ago: 600 })
    await addCopiesInAllStates(own)
    const app = siteApp(own, () => OPERATOR)
    const text = async (path: string) => await (await app.app.request(path)).text()
    expect(await text('/queues')).toContain('Tried again every six hours')
    // As the copy ends when the store no longer has the contents (tape-source-gone).
    await own.database
      .updateTable('tasks')
      .set({ state: 'given-up' })
      .where('state', '=', 'failing')
      .execute()
    const queues = await text('/queues')
    expect(queues).toContain('LNGS: 1 copy to tape failed, not tried again')
    expect(queues).not.toContain('Tried again every six hours')
    expect(await text('/replicas')).toContain('failed, not tried again')
    expect(await text('/runs/LNGS/60017')).toContain('not tried again by itself')
    const open = await (await app.app.request('/api/v1/replicas/open')).json()
    expect(open).toMatchObject({ rows: [{ state: 'failed', givenUp: true }] })
    await own.close()
  })

  test('shows failed copies with their error', async () => {
    const text = await page('/queues')
    expect(text).toContain('LNGS: 1 copy to tape failed')
    expect(text).toContain('<p class="why">the endpoint answered 507 Insufficient Storage</p>')
  })
})
