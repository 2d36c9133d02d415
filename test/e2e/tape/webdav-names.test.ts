/** Copies of tags that an address encodes, on endpoints that decode the Destination of a MOVE and others. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import { fingerprint, tapeFileOf } from '../../support/tape/files.ts'
import { BYTES, never, startWebdavFixture, type WebdavFixture } from '../../support/webdav-fixture.ts'

let fixture: WebdavFixture
beforeEach(async () => {
  fixture = await startWebdavFixture()
})
afterEach(() => fixture.close())

const TAGS = ['LNGS test+1', 'Frascati é', 'LNGS%20test', "A,b=c@d(e)<f>'g:h&i"]
const nameOf = (tag: string) => `cygno-data/${tag}/run00012.mid.gz`

describe.each([
  ['decodes the Destination of a MOVE', true],
  ['takes the Destination of a MOVE as it is written', false],
])('an endpoint that %s', (_, decodes) => {
  beforeEach(() => {
    fixture.server.decodesDestination = decodes
  })

  test.each(TAGS)('has a copy of the tag %s under its name, and nothing else', async (tag) => {
    const file = await tapeFileOf(BYTES, nameOf(tag))
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored' })
    expect([...fixture.server.files.keys()]).toEqual([file.name])
    expect(await fixture.driver.check(file, { reference: null, readBack: 'never' }, never)).toMatchObject({
      kind: 'present',
    })
  })

  test('keeps the file of a tag that is written like the encoding of another tag', async () => {
    const other = randomBytes(1000)
    fixture.server.files.set(nameOf('LNGS%20test'), other)
    const file = await tapeFileOf(BYTES, nameOf('LNGS test'))
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored' })
    expect(fixture.server.files.get(nameOf('LNGS%20test'))).toBe(other)
    expect(fingerprint(fixture.server.files.get(file.name) ?? null)).toBe(file.sha256)
  })

  test('is tested once, and only when a name needs encoding', async () => {
    await fixture.copy(BYTES, await tapeFileOf(BYTES, nameOf('LNGS')))
    expect(fixture.count('MOVE')).toBe(1)
    for (const tag of TAGS) await fixture.copy(BYTES, await tapeFileOf(BYTES, nameOf(tag)))
    expect(fixture.count('MOVE')).toBe(1 + 1 + TAGS.length)
  })
})

test('while it cannot be found out how an endpoint reads a Destination, the copy waits without a name', async () => {
  fixture.server.meet('MOVE', ({ response }) => void response.writeHead(503).end(), 1)
  const file = await tapeFileOf(BYTES, nameOf('LNGS test'))
  await expect(fixture.copy(BYTES, file)).rejects.toThrow(TransientError)
  expect([...fixture.server.files.keys()]).toEqual(fixture.temporaries())
  expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored' })
  expect([...fixture.server.files.keys()]).toEqual([file.name])
})
