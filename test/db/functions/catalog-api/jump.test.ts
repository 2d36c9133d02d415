/** The jump box of the header: where a run number, a tag or a key leads, and what it shows of other tags. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import type { Caller } from '../../../../shared/access/caller.ts'
import { ANONYMOUS, addFailedArrival, caller, makeRun, OPERATOR, siteApp } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let site: Api
let who: Caller

beforeAll(async () => {
  context = await startTestTapeContext()
  site = siteApp(context, () => who)
  for (const [tag, runNumber] of [
    ['LNGS', 100],
    ['LNGS', 101],
    ['LNF', 100],
    ['FLASH/2024', 7],
    ['FLASH/2025', 8],
    ['FLASH', 2024],
  ] as const)
    await makeRun(context, { tag, runNumber, ago: 1000 })
  await addFailedArrival(context, 'LNGS/run00555.mid.gz', 'the store answered 503')
})
afterAll(() => context.close())
beforeEach(() => {
  who = OPERATOR
})

const jump = async (text: string, tag?: string) => {
  const query = new URLSearchParams({ q: text, ...(tag === undefined ? {} : { tag }) })
  const answer = await site.app.request(`/jump?${query}`)
  return { status: answer.status, to: answer.headers.get('location'), text: await answer.text() }
}

describe('the jump box', () => {
  test.each([
    ['101', '/runs/LNGS/101'],
    [' run 101 ', '/runs/LNGS/101'],
    ['run00101.mid.gz', '/runs/LNGS/101'],
    ['00101', '/runs/LNGS/101'],
    ['lngs 100', '/runs/LNGS/100'],
    ['LNF/100', '/runs/LNF/100'],
    ['run 100 of LNF', '/runs/LNF/100'],
    ['LNGS/run00100.mid.gz', '/runs/LNGS/100'],
    ['cygno-data/LNF/run00100.mid.gz', '/runs/LNF/100'],
    ['s3://cygno-data/LNF/run00100.mid.gz', '/runs/LNF/100'],
    ['LNF/run100sub0003.mid.lz4', '/runs/LNF/100'],
    ['FLASH/2024 7', '/runs/FLASH%2F2024/7'],
    ['LNGS', '/runs?tag=LNGS'],
    ['lnf', '/runs?tag=LNF'],
    ['2025', '/runs?tag=FLASH%2F2025'],
    ['555', '/runs/LNGS/555'],
    ['LNGS/run00555.mid.gz', '/runs/LNGS/555'],
  ])('leads from “%s” to %s', async (text, to) => {
    expect(await jump(text)).toMatchObject({ status: 302, to })
  })

  test('lists all matches of a number that several tags have, and leads to that of the chosen tag', async () => {
    const { status, text } = await jump('100')
    expect(status).toBe(200)
    expect(text).toContain('2 matches for “100”')
    for (const path of ['/runs/LNGS/100', '/runs/LNF/100']) expect(text).toContain(`href="${path}"`)
    expect(await jump('100', 'LNF')).toMatchObject({ status: 302, to: '/runs/LNF/100' })
    expect(await jump('101', 'LNF')).toMatchObject({ status: 302, to: '/runs/LNGS/101' })
  })

  test('lists both a tag and a run that a text can mean, and tags that contain a text', async () => {
    const { text } = await jump('FLASH/2024')
    for (const path of ['/runs?tag=FLASH%2F2024', '/runs/FLASH/2024'])
      expect(text).toContain(`href="${path}"`)
    expect((await jump('ash/202')).text).toContain('2 matches for “ash/202”')
  })

  test('nothing found is stated with examples, and text from the address is shown as text', async () => {
    for (const nothing of [
      '424242',
      'LNGS 424242',
      '<script>alert(1)</script>',
      '99999999999999',
      '\u0000',
    ]) {
      const { status, text } = await jump(nothing)
      expect(status).toBe(404)
      expect(text).not.toContain('<script>alert')
      expect(text).toContain('<code>LNGS/run12345.mid.gz</code>')
    }
    expect((await jump('')).status).toBe(200)
  })

  test('shows a caller nothing of other tags', async () => {
    who = caller('read:LNF')
    expect(await jump('100')).toMatchObject({ status: 302, to: '/runs/LNF/100' })
    for (const text of ['101', 'LNGS', 'LNGS 101', 'LNGS/run00101.mid.gz', '555', 'LNGS 555', 'FLASH'])
      expect(await jump(text)).toMatchObject({ status: 404, to: null })
    who = ANONYMOUS
    expect((await jump('100')).status).toBe(401)
  })

  test('is a form on every page for callers who may read, with the tag of the page', async () => {
    const page = async (path: string) => (await site.app.request(path)).text()
    const box = '<form method="get" action="/jump"'
    for (const path of ['/', '/runs', '/replicas', '/queues', '/api/v1'])
      expect(await page(path)).toContain(box)
    const tag = '<input type="hidden" name="tag" value="LNGS"></form>'
    for (const path of ['/runs?tag=LNGS', '/runs/LNGS/100']) expect(await page(path)).toContain(tag)
    expect(await page('/runs')).not.toContain(tag)
    who = ANONYMOUS
    expect(await page('/python')).not.toContain(box)
  })
})
