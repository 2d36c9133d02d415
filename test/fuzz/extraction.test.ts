import { expect, it } from 'vitest'
import { fuzz } from '../../bench/fuzz.ts'

it('three thousand damaged files end as a result or a refusal, none with an error or a contradiction', async () => {
  const result = await fuzz({ count: 3000, seed: 20261122 })
  expect(result.failures).toEqual([])
  // The damage is of every kind: some files survive, some are cut, some are refused.
  expect(Object.keys(result.outcomes)).toEqual(
    expect.arrayContaining(['complete', 'invalid', 'cut-in-event', 'gzip-corrupt', 'lz4-corrupt']),
  )
})
