import { expect, test } from 'vitest'
import { messagesPage } from '../../../infra/generate/messages-page.ts'
import { alerts } from '../../../shared/messages/alerts.ts'
import { recallRequests } from '../../../shared/messages/recall-requests.ts'
import { recoRequests } from '../../../shared/messages/reco-requests.ts'
import { runs } from '../../../shared/messages/runs.ts'
import { tapeRequests } from '../../../shared/messages/tape-requests.ts'

test.each([
  ['tape-requests', tapeRequests],
  ['recall-requests', recallRequests],
  ['reco-requests', recoRequests],
  ['alerts', alerts],
])('the example of %s on the page has all its fields and can be parsed', (_queue, format) => {
  expect(format.schema.strict().parse(JSON.parse(format.example))).toEqual(JSON.parse(format.example))
  expect(JSON.parse(format.example)).toMatchObject(format.parse(format.example))
  expect(messagesPage()).toContain(JSON.stringify(JSON.parse(format.example), null, 2))
})

test('the example of runs on the page is parsed as one arrival', () => {
  expect(runs.schema.safeParse(JSON.parse(runs.example)).success).toBe(true)
  expect(runs.parse(runs.example)).toMatchObject({
    arrivals: [{ key: 'LNGS/run12345.mid.gz', source: 'minio' }],
    rejected: [],
  })
})
