/**
 * The pages without a browser: who sees what, that nothing from outside is taken for HTML, and how heavy they
 * are.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import { FILES } from '../../../../functions/catalog-api/pages/assets/files.ts'
import { age, bytes, count } from '../../../../functions/catalog-api/pages/format.ts'
import { canonicalAddress } from '../../../../functions/catalog-api/pages/runs-query.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import type { Caller } from '../../../../shared/access/caller.ts'
import { signal } from '../../../support/context.ts'
import { bundleOfAssets, runInFreshNode } from '../../../support/fresh-node.ts'
import {
  ANONYMOUS,
  addCopiesInAllStates,
  addDeadLetter,
  addFailedArrival,
  caller,
  fillSite,
  makeRun,
  OPERATOR,
  READER,
  siteApp,
} from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HOSTILE = `<script>alert("1")</script> & 'quoted' "><img src=x onerror=alert(2)>`

let context: TestTapeContext
let site: Api
let who: Caller
const logFolder = join(temporaryFolder(), 'logs')

beforeAll(async () => {
  context = await startTestTapeContext()
  site = siteApp(context, () => who, { logFolder })
  await fillSite(context)
  await addCopiesInAllStates(context)
  await makeRun(context, {
    tag: 'FLASH/2024 <b>',
    runNumber: 5,
    ago: 100,
    odb: { run_description: HOSTILE, sequence_filename: HOSTILE },
  })
})
afterAll(() => context.close())
beforeEach(() => {
  who = OPERATOR
})

const get = (path: string, headers: Record<string, string> = {}) => site.app.request(path, { headers })
const pageAt = async (path: string) => (await get(path)).text()
const post = (path: string, fields: readonly (readonly [string, string])[]) =>
  site.app.request(path, { method: 'POST', body: new URLSearchParams(fields as [string, string][]) })

const PAGES = [
  '/',
  '/runs',
  '/runs/LNGS/60020',
  '/runs/FLASH%2F2024%20%3Cb%3E/5',
  '/replicas',
  '/queues',
] as const

describe('every page', () => {
  test.each(PAGES)('%s is whole HTML with one heading, landmarks and no script of its own', async (path) => {
    const answer = await get(path)
    const text = await answer.text()
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toContain('text/html')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(text.match(/<h1/g)).toHaveLength(1)
    for (const landmark of ['<main id="content"', '<header', '<nav ', '<footer'])
      expect(text).toContain(landmark)
    expect(text).not.toMatch(/<script(?![^>]*(src="\/assets\/|type="application\/json"))/)
    expect(text).not.toMatch(/ on[a-z]+="| style="|<style|href="javascript:/i)
    expect(text).not.toMatch(/(src|href|action)="(https?:)?\/\//)
    expect(text.match(/<th(?=[ >])(?![^>]*scope=)/)).toBeNull()
    expect(text.match(/<table/g) ?? []).toHaveLength((text.match(/<caption/g) ?? []).length)
    const ids = [...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
    expect(ids).toEqual([...new Set(ids)])
  })

  test.each(PAGES)('%s with all that it loads stays below 150 kB, uncompressed', async (path) => {
    const text = await pageAt(path)
    const loaded = [...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, address]) => address ?? '')
    expect(loaded.length).toBeGreaterThan(1)
    const sizes = await Promise.all(
      loaded.map(async (address) => (await (await get(address)).arrayBuffer()).byteLength),
    )
    expect(Buffer.byteLength(text) + sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(150_000)
  })

  test('a full table of a hundred runs with endless descriptions stays below 150 kB, too', async () => {
    for (let index = 0; index < 100; index++)
      await makeRun(context, {
        tag: 'LONG',
        runNumber: 1 + index,
        ago: 1e6,
        odb: { run_description: 'ö'.repeat(20_000) },
      })
    const text = await pageAt('/runs?tag=LONG')
    expect(text.match(/name="run"/g)).toHaveLength(100)
    const loaded = [FILES['style.css'], FILES['page.js'], FILES['live.js'], FILES['runs.js']].join('')
    expect(Buffer.byteLength(text + loaded)).toBeLessThan(150_000)
  })

  test.each(PAGES)('%s has no link that leads nowhere', async (path) => {
    const links = [...(await pageAt(path)).matchAll(/<a [^>]*href="(\/[^"]*)"/g)].map(([, address = '']) =>
      address.replaceAll('&amp;', '&'),
    )
    const own = [...new Set(links)].filter((address) => !/^\/sign-in/.test(address))
    expect(own.length).toBeGreaterThan(4)
    for (const address of own)
      expect({ address, status: (await get(address)).status }).toMatchObject({ status: 200 })
  })

  test('text from files, names and addresses is shown and never taken for HTML', async () => {
    for (const path of [
      '/',
      '/runs?column=description&column=sequence_filename',
      '/runs/FLASH%2F2024%20%3Cb%3E/5',
      `/runs?text=${encodeURIComponent(HOSTILE)}`,
      `/runs?from=${encodeURIComponent(HOSTILE)}`,
      `/runs?param.x=${encodeURIComponent(HOSTILE)}`,
      `/runs?${encodeURIComponent(HOSTILE)}=1`,
      `/replicas?tag=${encodeURIComponent(HOSTILE)}`,
    ]) {
      const text = await pageAt(path)
      expect(text).not.toContain('<script>alert')
      expect(text).not.toContain('<img src=x')
      expect(text).not.toContain('<b>')
    }
    expect(await pageAt('/runs/FLASH%2F2024%20%3Cb%3E/5')).toContain(
      '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;',
    )
  })

  test('an unknown tag is named as such, with those that resemble it', async () => {
    for (const path of ['/replicas?tag=lngs', '/runs?tag=lngs'])
      expect(await pageAt(path)).toMatch(/he catalogue has no run of the tag lngs yet, but of LNGS\./)
  })

  test('a caller without rights is asked to sign in, and sees no navigation', async () => {
    who = ANONYMOUS
    for (const path of PAGES) expect((await get(path)).status).toBe(401)
    who = READER
    expect((await get('/queues')).status).toBe(403)
    expect(await pageAt('/')).not.toContain('href="/queues"')
  })

  test('a caller with one tag sees nothing of another one on any page', async () => {
    who = caller('read:LNF')
    for (const path of ['/', '/runs', '/replicas', '/replicas?tag=LNGS', '/runs?tag=LNGS']) {
      const text = (await pageAt(path)).replaceAll(
        /tag=LNGS|only LNGS|Tag: LNGS|value="LNGS"|&quot;LNGS&quot;/g,
        '',
      )
      expect(text).not.toContain('LNGS')
      expect(text).not.toContain('60020')
    }
    expect((await get('/runs/LNGS/60020')).status).toBe(403)
    expect((await post('/runs/links', [['run', 'LNF/7001']])).status).toBe(403)
  })
})

describe('what is refused', () => {
  const browser = { accept: 'text/html,application/xhtml+xml' }

  test.each([
    ['/runs/LNGS/60020?use=1', 404, 'run 60020 of LNGS has no such generation'],
    ['/nothing/<script>', 404, 'there is no such address'],
  ] as const)('%s is a page for a browser and a problem for programs', async (path, status, detail) => {
    const page = await get(path, browser)
    expect(page.status).toBe(status)
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(await page.text()).toContain(`<p class="notice bad">${detail}</p>`)
    const answer = await get(path)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await answer.json()).toMatchObject({ status, detail })
  })

  test('a refused caller sees the name, the required right, and the rights held', async () => {
    const refused = async (path: string, ...scopes: readonly string[]) => {
      who = caller(...scopes)
      const answer = await get(path)
      expect(answer.status).toBe(403)
      return ((await answer.json()) as { readonly detail: string }).detail
    }
    expect(await refused('/queues', 'read:LNF', 'link:*', 'link:LNF')).toBe(
      'Ada Lovelace may not do this, which needs the right operate for all tags (operate:*); Ada Lovelace has read:LNF, link:*',
    )
    expect(await refused('/runs/FLASH%2F2024/5', 'read:LNF')).toContain(
      'the right read for FLASH/2024 (read:FLASH/2024); ',
    )
    expect(await refused('/runs', 'push:LNF')).toContain('the right read for some tag; ')
    expect(await refused('/runs')).toMatch(/ has none$/)
    // What was made up in an address is not told on, and nobody's rights fill a page.
    expect(await refused('/runs/%1B%5B31m/5', 'read:LNF')).toContain('the right read for all tags (read:*); ')
    expect(await refused('/queues', ...Array.from({ length: 50 }, (_, index) => `read:T${index}`))).toMatch(
      /read:T19 and 30 more$/,
    )
    const page = await (await get('/queues', browser)).text()
    expect(page).toContain('<h1>Not allowed</h1>')
    expect(page).toContain('operate:*')
  })

  test('a caller whose session ended returns from the sign-in to the page of the form', async () => {
    who = ANONYMOUS
    const csrf = {
      tokenFor: () => '',
      protect: async (_: unknown, next: () => Promise<void>) => await next(),
    }
    const withSignIn = siteApp(context, () => who, { browser: { csrf } })
    const retry = (referer: string) =>
      withSignIn.app.request('/queues/runs/retry', {
        method: 'POST',
        headers: { ...browser, referer },
        body: new URLSearchParams({ all: 'yes' }),
      })
    expect(await (await retry('http://localhost/queues?retried=1')).text()).toContain(
      'href="/sign-in?to=%2Fqueues%3Fretried%3D1"',
    )
    for (const referer of [
      '',
      'nonsense',
      'https://evil.example//evil.example/x',
      'http://localhost/sign-in?to=/',
    ])
      expect(await (await retry(referer)).text()).toContain('href="/sign-in?to=%2F"')
    expect(await (await get('/runs', browser)).text()).toContain('no IAM is configured')
  })

  test('a required sign-in is also stated by the status and the header', async () => {
    who = ANONYMOUS
    const page = await get('/runs', browser)
    expect(page.status).toBe(401)
    expect(page.headers.get('www-authenticate')).toBe('Bearer')
    expect(await page.text()).toContain('<h1>Please sign in</h1>')
    expect((await get('/api/v1/events', browser)).headers.get('content-type')).toBe(
      'application/problem+json',
    )
  })
})

describe('Now', () => {
  test('shows for each site its last run, the copies in progress and waiting, and the alerts', async () => {
    const text = await pageAt('/')
    for (const shown of [
      '60020',
      '7012',
      '11300',
      'waiting for tape',
      'tape failed',
      'aria-label="Problems"',
      'LNGS: 1 copy failed',
      'LNGS: 1 copy failing, will be retried: the endpoint answered 403 Forbidden',
      'waiting for tape, 1 failing',
      'LNGS: 2 runs of the last day with open problems',
      '1 warning fires',
      'started <time',
      '1\u202f042 MIDAS events',
      '<h2 id="alerts-heading">Alerts</h2>',
      'is incomplete',
      'tape-requests',
    ])
      expect(text).toContain(shown)
  })

  test('shows an alert, also on the page of its run, until it is over, and who takes care of it', async () => {
    const { database } = context
    const path = '/runs/LNGS/60019'
    const alertsOn = async (page: string) =>
      /<ol class="alerts">.*?<\/ol>/s.exec(await pageAt(page))?.[0] ?? ''
    const set = (change: object) =>
      database.updateTable('alerts').set(change).where('runNumber', '=', 60_019).execute()
    for (const page of ['/', path]) expect(await alertsOn(page)).toContain('is incomplete')
    expect(await alertsOn('/')).toContain('<a href="/runs/LNGS/60019">LNGS 60019</a>')
    await set({ count: 1042, acknowledgedBy: HOSTILE, acknowledgedAt: new Date(), comment: HOSTILE })
    for (const page of ['/', path]) {
      expect(await alertsOn(page)).toMatch(
        /1\u202f042 times, last .*Acknowledged by &lt;script&gt;.* ago: &lt;script&gt;/s,
      )
      expect(await alertsOn(page)).not.toContain('<script>')
    }
    expect(await pageAt('/')).not.toContain('1 warning fires')
    expect(((await (await get(`/api/v1${path}`)).json()) as { alerts: unknown }).alerts).toMatchObject([
      { rule: 'incomplete-file', state: 'acknowledged', count: 1042, comment: HOSTILE, resolvedAt: null },
    ])
    await set({ resolvedAt: new Date(), resolvedBy: 'rule' })
    expect(await pageAt('/')).toContain('No alert fires now.')
    expect(await alertsOn(path)).toContain('warning, over')
    await set({ count: 1, acknowledgedBy: null, acknowledgedAt: null, comment: null })
    await set({ resolvedAt: null, resolvedBy: null })
  })

  test('shows when the last run began, as a time in UTC beside its age', async () => {
    const panel =
      (await pageAt('/')).split('<section class="site"').find((part) => part.includes('id="site-MAN"')) ?? ''
    expect(panel).toMatch(
      /started <time [^>]*>40 d<\/time> ago <span class="quiet[^"]*"><time [^>]*><span>\d{4}-\d\d-\d\d<\/span> <span>[\d:]{8}&nbsp;UTC<\/span><\/time>/,
    )
  })

  test('queries the catalogue once for all simultaneous readers with the same rights', async () => {
    let queries = 0
    const database = context.database.withPlugin({
      transformQuery({ node }) {
        queries++
        return node
      },
      transformResult: async ({ result }) => result,
    })
    const counted = siteApp({ ...context, database }, () => who)
    who = READER
    await counted.app.request('/')
    const once = queries
    queries = 0
    const answers = await Promise.all(Array.from({ length: 50 }, () => counted.app.request('/')))
    for (const answer of answers) expect(answer.status).toBe(200)
    expect(queries).toBeLessThanOrEqual(2 * once)
    const [reader, other] = await Promise.all(
      [READER, caller('read:LNF')].map((each) => {
        who = each
        return counted.app.request('/')
      }),
    )
    expect(await reader?.text()).toContain('60020')
    expect(await other?.text()).not.toContain('60020')
  })

  test('works while the queues do not answer', async () => {
    const broken = siteApp(
      { ...context, queues: { ...context.queues, depth: () => Promise.reject(new Error('down')) } },
      () => OPERATOR,
    )
    const answer = await broken.app.request('/')
    expect(answer.status).toBe(200)
    expect(await answer.text()).toContain('does not answer')
  })
})

describe('Runs', () => {
  const runNumbers = (text: string) =>
    [...text.matchAll(/<th scope="row" class="number"><a href="[^"]*">(\d+)<\/a>/g)].map(([, run]) =>
      Number(run),
    )

  test('the form of the page asks the API, and an address without ballast is what one gets', async () => {
    const answer = await get(
      '/runs?tag=LNGS&from=&to=60003&since=&complete=&parameter=GEM1_V&operator=gte&value=440&text=&column=start&column=GEM1_V',
    )
    expect(answer.status).toBe(302)
    const location = answer.headers.get('location') ?? ''
    expect(location).toBe('/runs?tag=LNGS&to=60003&column=start&column=GEM1_V&param.GEM1_V.gte=440')
    const text = await pageAt(location)
    expect(runNumbers(text)).toEqual([60_003, 60_002, 60_001])
    expect(text).toContain('aria-label="Without GEM 1 voltage ≥ 440 V"')
    expect(text).toContain('/api/v1/runs?tag=LNGS&amp;to=60003&amp;param.GEM1_V.gte=440&amp;format=csv')
  })

  test('an address that was put in order stays as it is, whatever it was', () => {
    const names = fc.constantFrom(
      'tag',
      'from',
      'since',
      'until',
      'parameter',
      'operator',
      'value',
      'column',
      'param.GEM1_V',
      'x',
    )
    const values = fc.oneof(
      fc.string(),
      fc.constantFrom('', ' ', '2026-01-15T08:00', 'GEM1_V', 'gte', 'start'),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(names, values)), (pairs) => {
        const once = canonicalAddress(new URLSearchParams(pairs))
        expect(String(canonicalAddress(once))).toBe(String(once))
      }),
    )
  })

  test('sorts by a link in the head of the table, and marks the order', async () => {
    const text = await pageAt('/runs?tag=LNGS&sort=run')
    expect(runNumbers(text)[0]).toBe(60_001)
    expect(text).toContain('aria-sort="ascending"')
    expect(text).toContain('href="/runs?tag=LNGS&amp;sort=-run"')
  })

  test('leads on, page by page, without repeating or leaving out a run', async () => {
    for (let index = 0; index < 110; index++)
      await makeRun(context, { tag: 'MANY', runNumber: 1 + index, ago: 10 * 86_400 + index })
    const first = await pageAt('/runs?tag=MANY&column=events')
    const next = /rel="next" href="([^"]*)"/.exec(first)?.[1]?.replaceAll('&amp;', '&') ?? ''
    const second = await pageAt(next)
    expect([...runNumbers(first), ...runNumbers(second)]).toEqual(
      Array.from({ length: 110 }, (_, index) => 110 - index),
    )
    expect(second).toContain('First page')
    expect(second).not.toContain('rel="next"')
  })

  test('reports the error in a filter and keeps the input', async () => {
    const answer = await get('/runs?from=abc&tag=LNGS')
    expect(answer.status).toBe(400)
    const text = await answer.text()
    expect(text).toContain('role="alert"')
    expect(text).toContain('name="from" value="abc"')
    expect(text).toContain('First run: expected a whole number. Example: 12345')
    expect(text).toMatch(/name="from" [^>]*aria-invalid="true" aria-describedby="problem-from"/)
  })

  test.each([
    ['since=yesterday', 'Started since (UTC): expected a date or a time. Example: 2026-01-15'],
    ['tape=nowhere', 'On tape: expected one value of the list. Example: on tape'],
    ['complete=maybe', 'Complete: expected one value of the list. Example: yes'],
    ['param.GEM1_V.gte=high', 'GEM 1 voltage: expected a number. Example: 440'],
    ['shift=night', 'There is no filter “shift”. Choose one of those in the form.'],
    ['cursor=x', 'There is no such page of the list in this order. Start from the first page.'],
  ])('%s: the error names the label of the field and gives an example', async (query, sentence) => {
    const answer = await get(`/runs?${query}`)
    expect(answer.status).toBe(400)
    const text = await answer.text()
    const shown = /role="alert">(.*?)<\/div>/s.exec(text)?.[1] ?? ''
    expect(shown).toContain(sentence)
    expect(shown).not.toMatch(/>(?:since|tape|complete|cursor|param\.\S*):/)
  })

  test('active filters are listed, each with a link that removes it alone, and counted on the button', async () => {
    const text = await pageAt('/runs?tag=LNGS&tape=failed&since=2020-01-01T08:00:00Z&sort=run&column=start')
    expect(text).toMatch(/popovertarget="filters">Filters <strong>3<\/strong>/)
    for (const [label, address] of [
      ['Tag: LNGS', 'tape=failed&amp;since=2020-01-01T08%3A00%3A00Z&amp;sort=run&amp;column=start'],
      ['On tape: failed', 'tag=LNGS&amp;since=2020-01-01T08%3A00%3A00Z&amp;sort=run&amp;column=start'],
      ['Started since (UTC): 2020-01-01 08:00', 'tag=LNGS&amp;tape=failed&amp;sort=run&amp;column=start'],
    ])
      expect(text).toContain(`<a href="/runs?${address}" aria-label="Without ${label}">`)
  })

  test('an empty list states why and what next', async () => {
    const filtered = await pageAt('/runs?tag=LNGS&from=999999')
    expect(filtered).toContain('No run matches these 2 filters.')
    expect(filtered).toContain('<a href="/runs/LNGS/60020">LNGS 60020</a>')
    await addFailedArrival(context, 'LNGS/run999998.mid.gz', 'the store answered 503')
    const arrived = await pageAt('/runs?tag=LNGS&from=999998&to=999998')
    expect(arrived).toContain('<a href="/runs/LNGS/999998">run 999998 of LNGS</a>')
    expect(arrived).toContain('failed since')
    who = caller('read:NEW')
    const none = await pageAt('/runs')
    expect(none).toContain('The catalogue has no run yet that you may see.')
    expect(none).toContain('cygnet push')
  })

  test('the units are in the heads of columns, and parameters have labels with their names as hints', async () => {
    const text = await pageAt('/runs?tag=LNGS&column=start&column=size&column=length&column=GEM1_V')
    expect(text).toMatch(/Started \(UTC\).*Size \(MB\).*Length \(s\)/s)
    expect(text).toContain('<abbr title="GEM1_V">GEM 1 voltage (V)</abbr>')
    expect(text).toMatch(/<td class="number[^>]*>385\.0<\/td>/)
    expect(text).toMatch(/<td class="number[^>]*>240<\/td>/)
  })

  test('the commands to copy are one word to a shell and to Python, whatever is searched', async () => {
    const text = await pageAt(`/runs?text=${encodeURIComponent(`it's "$(touch x)" \\`)}`)
    expect(text).toContain('text=it%27s+%22%24%28touch+x%29%22+%5C&amp;format=csv&#39;')
    expect(text).toContain('(&quot;text&quot;, &quot;it&#39;s \\&quot;$(touch x)\\&quot; \\\\&quot;)')
  })
})

describe('Links', () => {
  test('of chosen runs lead to the exact bytes, and are shown with checksums and lists', async () => {
    const { md5, adler32, sha256 } = await context.putRun('LNGS/run00017.mid.gz', 'bytes of run 17')
    const answer = await post('/runs/links', [
      ['run', 'LNGS/17'],
      ['run', 'LNGS/4711'],
    ])
    expect(answer.status).toBe(200)
    const text = await answer.text()
    expect(text).toContain(md5)
    expect(text).toContain(adler32)
    expect(text).toContain('run 4711 of LNGS is not in the catalogue')
    expect(text).toContain(`out=LNGS/run00017.mid.gz\n  checksum=sha-256=${sha256}`)
    const url =
      /<a href="([^"]*run00017[^"]*)" rel="noreferrer"/.exec(text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    expect(await (await fetch(url)).text()).toBe('bytes of run 17')
  })

  test.each([
    ['/runs?tag=LNGS&param.GEM1_V.gte=440', '/runs?tag=LNGS&amp;param.GEM1_V.gte=440', 'Back to the runs'],
    ['/runs/LNGS/60020', '/runs/LNGS/60020', 'Back to the run'],
    ['https://evil.example/runs', '/runs', 'Back to the runs'],
    ['//evil.example', '/runs', 'Back to the runs'],
    ['/runsandmore', '/runs', 'Back to the runs'],
  ])('lead back to %s as %s', async (from, path, words) => {
    const text = await (
      await post('/runs/links', [
        ['run', 'LNGS/17'],
        ['from', from],
      ])
    ).text()
    expect(text).toContain(`<a href="${path}">${words}</a>`)
  })

  test('know the page on which they were asked for', async () => {
    expect(await pageAt('/runs?tag=LNGS&sort=run')).toContain(
      'name="from" value="/runs?tag=LNGS&amp;sort=run"',
    )
    expect(await pageAt('/runs/FLASH%2F2024%20%3Cb%3E/5')).toContain(
      'name="from" value="/runs/FLASH%2F2024%20%3Cb%3E/5"',
    )
  })

  test('are only given for tags that the caller may have them for', async () => {
    who = caller('read:*', 'link:LNF')
    const text = await (await post('/runs/links', [['run', 'LNGS/60020']])).text()
    expect(text).toContain('you may not obtain links to runs of LNGS')
    expect(text).not.toContain('X-Amz-Signature')
  })

  test.each([
    ['nothing sensible', [['run', 'LNGS']]],
    ['a number that is none', [['run', 'LNGS/99999999999']]],
    ['a broken escape', [['run', '%E0%A4%A/1']]],
    ['more than a page', Array.from({ length: 101 }, (_, index) => ['run', `LNGS/${index}`])],
  ] as const)('%s is refused', async (_, fields) => {
    expect((await post('/runs/links', fields as readonly (readonly [string, string])[])).status).toBe(400)
  })
})

describe('Run', () => {
  test('shows all details: parameters, banks, checksums, copies, history, and what is still missing', async () => {
    const text = await pageAt('/runs/LNGS/60019')
    for (const shown of [
      '<abbr title="exposure_sec">Exposure</abbr>',
      '<dd>0.3 <span class="quiet">s</span></dd>',
      '<code>exposure_sec</code>',
      'CAM0',
      'Trigger',
      'SHA-256',
      'the file ends in the middle of an event',
      'not judged</span><br><span class="quiet">no reconstruction: the run is not complete: the file ends in the middle of an event',
      '/python?tag=LNGS&amp;run=60019',
      'catalogued',
    ])
      expect(text).toContain(shown)
    expect(await pageAt('/runs/LNGS/60017')).toContain('507 Insufficient Storage (attempt 4)')
  })

  test('shows a failing copy to tape with its error at the top; so does the page of replicas', async () => {
    const text = await pageAt('/runs/LNGS/60018')
    expect(text).toMatch(
      /<ul class="verdict"[^>]*><li class="bad">.{0,120}Copy to tape is failing<\/span><\/strong> <span class="reason">the endpoint answered 403 Forbidden \(attempt 2\)<\/span> <span class="quiet">tried again in <time [^>]*>\d+ min<\/time>/,
    )
    expect(text).toContain('<p class="problem">the endpoint answered 403 Forbidden (attempt 2)</p>')
    expect(await pageAt('/runs/LNGS/60020')).toContain(
      '<ul class="verdict" aria-label="Verdict"><li class="moving">',
    )
    const replicas = await pageAt('/replicas')
    expect(replicas).toContain(
      'requested, 1 failing</span><br><span class="problem">the endpoint answered 403 Forbidden</span>',
    )
  })

  test('distinguishes triggers from all MIDAS events', async () => {
    const text = await pageAt('/runs/LNGS/60020')
    expect(text).toContain(
      '<dt>Events</dt><dd>1\u202f000 triggers<br><span class="quiet">and 42 of slow control: 1\u202f042 MIDAS events</span></dd>',
    )
    expect(text).toContain('Begin-of-run and end-of-run are not counted in the 1\u202f042.')
    expect(await pageAt('/runs')).toMatch(/<th scope="col" class="number"[^>]*>(?:<a [^>]*>)?MIDAS events/)
  })

  test('shows the lines that the functions logged about it, to operators', async () => {
    const line = (fields: Record<string, unknown>) =>
      `${JSON.stringify({ level: 'info', time: '2026-01-15T08:00:00.123Z', function: 'extract-metadata', ...fields })}\n`
    await mkdir(logFolder, { recursive: true })
    await writeFile(
      join(logFolder, 'extract-metadata.log'),
      `${line({ event: 'run-catalogued', run: 60_020, tag: 'LNGS', ms: 12 })}${line({ event: 'of-another-tag', run: 60_020, tag: 'LNF' })}${line({ event: 'of-another-run', run: 600_201 })}not JSON "run":60020\n`,
    )
    const text = await pageAt('/runs/LNGS/60020')
    expect(text).toMatch(
      /<summary><time [^>]*>.{0,60}08:00:00&nbsp;UTC<\/span><\/time> .{0,99}info<\/span> <strong>run-catalogued<\/strong> <span class="quiet">ms 12 <\/span>/,
    )
    expect(text).toContain('<dt>function</dt><dd>extract-metadata</dd>')
    expect(text).not.toMatch(/of-another-(tag|run)|not JSON/)
    await rm(logFolder, { recursive: true })
    expect(await pageAt('/runs/LNGS/60020')).toContain('contain no line about this run')
    who = READER
    expect(await pageAt('/runs/LNGS/60020')).not.toContain('Log lines')
  })

  test.each(['/runs/LNGS/4711', '/runs/LNGS/abc', '/runs/LNGS/99999999999', '/runs/LNGS/60020?use=1'])(
    '%s is not there',
    async (path) => {
      expect((await get(path)).status).toBe(404)
    },
  )
})

describe('a run that is not in the catalogue', () => {
  const browser = { accept: 'text/html' }
  const REASON = `the store answered 503 ${HOSTILE}`

  beforeAll(async () => {
    await addFailedArrival(context, 'LNGS/run04712.mid.gz', REASON)
    await addFailedArrival(context, 'LNF/run07777.mid.gz', '')
    await context.database
      .updateTable('arrivals')
      .set({ state: 'received', attempts: 0, reason: null, finishedAt: null })
      .where('objectKey', '=', 'LNF/run07777.mid.gz')
      .execute()
  })

  test('is shown with its arrivals: file, state, attempts and reason; and what an operator can do', async () => {
    const answer = await get('/runs/LNGS/4712', browser)
    expect(answer.status).toBe(404)
    const text = await answer.text()
    for (const shown of [
      '<title>Run 4712 of LNGS is not catalogued',
      'data-live="LNGS/4712"',
      'reading its file failed repeatedly',
      'cygno-data/LNGS/run04712.mid.gz',
      '</span>, 6 attempts</td>',
      'the store answered 503 &lt;script&gt;',
      'href="/queues#dead-runs"',
      'cygnet replay --run 4712 --tag LNGS --yes',
      'href="/runs/LNGS/60001" rel="next"',
      'Log lines of the functions',
    ])
      expect(text).toContain(shown)
    expect(text).not.toContain('<script>alert')
    const { detail } = (await (await get('/runs/LNGS/4712')).json()) as { readonly detail: string }
    expect(detail).toContain('its files were reported: cygno-data/LNGS/run04712.mid.gz: failed since 20')
    expect(detail).toContain(`after 6 attempts: ${REASON}`)
  })

  test('refers readers to operators, and shows nothing to callers who may not see its tag', async () => {
    who = READER
    const text = await (await get('/runs/LNGS/4712', browser)).text()
    expect(text).toContain('Operators can start another attempt.')
    expect(text).not.toMatch(/cygnet replay|Log lines|dead-runs/)
    who = caller('read:LNF')
    const other = await get('/runs/LNGS/4712', browser)
    expect(other.status).toBe(403)
    expect(await other.text()).not.toContain('answered 503')
  })

  test('may be waiting, or never reported', async () => {
    expect(await (await get('/runs/LNF/7777', browser)).text()).toContain(
      'has arrived and is waiting to be read',
    )
    const text = await (await get('/runs/LNGS/4711', browser)).text()
    expect(text).toContain('no file of this run has been reported')
    expect(text).toContain('cygnet reconcile --prefix LNGS/')
    expect(await (await get('/runs/LNGS/4711')).json()).toMatchObject({
      detail: 'run 4711 of LNGS is not in the catalogue',
    })
  })
})

describe('Replicas', () => {
  test('writes the volume at each place beside its own strip of bars, against what was taken', async () => {
    const text = await pageAt('/replicas?days=7&tag=LNGS')
    expect(text).toContain('Data taken in the last 7 days')
    const since = new Date(Math.floor(Date.now() / 86_400_000 - 6) * 86_400_000)
    const taken = await context.database
      .selectFrom('runs')
      .select((select) => select.fn.sum<number>('sizeBytes').as('bytes'))
      .where('tag', '=', 'LNGS')
      .where('startedAt', '>=', since)
      .executeTakeFirstOrThrow()
    const all = bytes(Number(taken.bytes))
    const strips = [...text.matchAll(/<strong>(Tape|Store|DAQ disk)<\/strong> ([\d.]+ \w+) <span/g)]
    expect(strips.map(([, place]) => place)).toEqual(['Tape', 'Store', 'DAQ disk'])
    expect(strips[1]?.[2]).toBe(all)
    expect(strips[2]?.[2]).toBe('0 B')
    expect(strips[0]?.[2]).not.toBe(all)
    expect(text.match(/<svg class="bars"/g)).toHaveLength(3)
    expect(text).toContain(`aria-label="Tape: ${strips[0]?.[2]} of ${all};`)
  })

  test('states first how many runs are not safe, with a way to them', async () => {
    const text = await (await siteApp(context, () => who).app.request('/replicas')).text()
    const verdict = text.slice(text.indexOf('aria-label="Verdict"'), text.indexOf('id="under-way"'))
    expect(verdict).toMatch(/href="\/runs\?tape=failed">1 run with a failed copy on tape</)
    expect(verdict).toMatch(/of \d+ runs are on tape: [\d.]+ GB of [\d.]+ GB\./)
    expect(verdict).not.toContain('All runs are on tape')
  })
})

describe('all data', () => {
  test('is counted by the copy on tape, with a way to the runs that have none', async () => {
    // Of its own, since a site counts all data at most once a minute.
    const page = await (await siteApp(context, () => who).app.request('/replicas?days=7')).text()
    const rows = page.slice(page.indexOf('id="all"'), page.indexOf('id="by-day"')).split('<tr')
    const rowOf = (tag: string) => rows.find((row) => row.includes(`href="/runs?tag=${tag}"`))
    const link = (tag: string, tape: string, count: number) =>
      new RegExp(`href="/runs\\?tag=${tag}&(?:amp;)?tape=${tape}"[^>]*>.*?${count}</span>`)
    expect(rowOf('LNGS')).toMatch(link('LNGS', 'under-way', 4))
    expect(rowOf('LNGS')).toMatch(link('LNGS', 'failed', 1))
    expect(rowOf('LNF')).toMatch(link('LNF', 'none', 2))
    expect(rowOf('MAN')).toBeDefined()
    expect(rowOf('MAN')).not.toContain('tape=none')
  })
})

describe('Queues', () => {
  test('a dead letter is shown with what went wrong, and goes back to its queue', async () => {
    await addDeadLetter(context, { bucket: 'cygno-data', key: 'LNGS/run60017.mid.gz', text: HOSTILE })
    const text = await pageAt('/queues')
    expect(text).toContain(
      '<a href="/runs/LNGS/60017"><code class="address">cygno-data/LNGS/run60017.mid.gz</code></a>',
    )
    expect(text).toContain('507 Insufficient Storage')
    const message = /name="message" value="([^"]+)"/.exec(text)?.[1] ?? ''
    const answer = await post('/queues/tape-requests/retry', [['message', message]])
    expect(answer.status).toBe(303)
    expect(answer.headers.get('location')).toBe('/queues?retried=1#tape-requests')
    expect(await context.drain('tape-requests')).toMatchObject([{ key: 'LNGS/run60017.mid.gz' }])
    expect(await pageAt('/queues?retried=1')).toContain('1 dead letter was sent back')
  })

  describe('the age of work', () => {
    const ageOf = async (queue: string) => {
      const row =
        (await pageAt('/queues')).split('<tr>').find((part) => part.includes(`<span id="${queue}">`)) ?? ''
      return /<td class="number">(?!\d)(.*?)<\/td><\/tr>/.exec(row)?.[1] ?? ''
    }
    const send = (queue: 'reco-requests' | 'recall-requests', messages: number) =>
      context.queues.send(queue, Array<string>(messages).fill('{}'), signal)
    const minutesAgo = (minutes: number) => new Date(Date.now() - 60_000 * minutes)

    test('is derived from unsent requests, and from when waiting messages were sent; an empty queue has none', async () => {
      const { database } = context
      await database.updateTable('outbox').set({ sentAt: new Date() }).execute()
      expect(await ageOf('reco-requests')).toBe('–')
      await database.updateTable('outbox').set({ sentAt: null }).where('queue', '=', 'alerts').execute()
      expect(await ageOf('alerts')).toContain('data-age')
      const sent = await database
        .selectFrom('outbox')
        .select('id')
        .where('queue', '=', 'reco-requests')
        .orderBy('id', 'desc')
        .limit(3)
        .execute()
      for (const [index, { id }] of sent.entries())
        await database
          .updateTable('outbox')
          .set({ sentAt: minutesAgo(10 * (index + 1)) })
          .where('id', '=', id)
          .execute()
      await send('reco-requests', 2)
      expect(await ageOf('reco-requests')).toContain('>20 min</time> or more')
      await context.drain('reco-requests')
    })

    test('is unknown for work without a row', async () => {
      await send('recall-requests', 1)
      expect(await ageOf('recall-requests')).toMatch(
        /title="[^"]*ApproximateAgeOfOldestMessage[^"]*">unknown</,
      )
      await context.drain('recall-requests')
    })
  })

  test('reports when there was nothing to send back', async () => {
    const answer = await post('/queues/tape-requests/retry', [['message', 'long gone']])
    expect(await pageAt(answer.headers.get('location') ?? '')).toContain('No message was sent back')
  })

  test('only operators retry, and only what they name', async () => {
    expect((await post('/queues/tape-requests/retry', [])).status).toBe(400)
    expect((await post('/queues/nothing/retry', [['all', 'yes']])).status).toBe(404)
    who = READER
    expect((await post('/queues/tape-requests/retry', [['all', 'yes']])).status).toBe(403)
  })
})

describe('the theme', () => {
  test('is stored in a cookie and is part of the page itself', async () => {
    const answer = await post('/theme', [
      ['theme', 'underground'],
      ['to', '/runs?tag=LNGS'],
    ])
    expect(answer.headers.get('location')).toBe('/runs?tag=LNGS')
    const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? ''
    expect(await (await get('/', { cookie })).text()).toContain('<html lang="en" data-theme="underground">')
    expect(await (await get('/', { cookie: 'theme="><script>' })).text()).toContain('data-theme="system"')
  })

  test.each(['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)'])(
    'does not lead to %s',
    async (to) => {
      expect(
        (
          await post('/theme', [
            ['theme', 'light'],
            ['to', to],
          ])
        ).headers.get('location'),
      ).toBe('/')
    },
  )
})

describe('assets', () => {
  test('are cached permanently under an address with their hash, and not under another', async () => {
    const address = /href="(\/assets\/[^"]+style\.css)"/.exec(await pageAt('/'))?.[1] ?? ''
    expect((await get(address)).headers.get('cache-control')).toContain('immutable')
    expect((await get(address.replace(/assets\/\w+/, 'assets/0'))).headers.get('cache-control')).toBe(
      'no-store',
    )
    for (const name of ['nothing.js', '__proto__', 'constructor'])
      expect((await get(`/assets/0/${name}`)).status).toBe(404)
  })

  test('are all in a bundle, which has no files beside it', async () => {
    const path = await bundleOfAssets('assets.ts')
    const here = /assets\/(\w+)\//.exec(await pageAt('/'))?.[1]
    expect(await runInFreshNode(`console.log(require(${JSON.stringify(path)}).assetUrl('style.css'))`)).toBe(
      `/assets/${here}/style.css`,
    )
  })
})

test('numbers are written for people', () => {
  const now = new Date('2026-01-15T12:00:00Z')
  const ago = (seconds: number) => age(new Date(now.getTime() - seconds * 1000), now)
  expect([0, 89, 90, 5399, 5400, 36 * 3600, -5].map(ago)).toEqual([
    '0 s',
    '89 s',
    '1 min',
    '89 min',
    '1 h',
    '1 d',
    '0 s',
  ])
  expect([0, 999, 1000, 999_999, 412_000_000, 1.5e15].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '1.00 MB',
    '412 MB',
    '1.50 PB',
  ])
  expect([0, 999, 1000, 1_234_567].map(count)).toEqual(['0', '999', '1\u202f000', '1\u202f234\u202f567'])
})
