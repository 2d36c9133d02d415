import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { PARTS, runNode, runParts } from '../../real/parts.ts'

const part = (name: string) => ({ name, extras: [], files: [] })

test('each test file on real services belongs to one part', () => {
  const files = readdirSync(new URL('../../real/', import.meta.url)).filter((name) =>
    name.endsWith('.test.ts'),
  )
  expect(PARTS.flatMap((each) => each.files).toSorted()).toEqual(files.toSorted())
})

test('a failing part is reported with its reason, and the others run', async () => {
  const lines: string[] = []
  const failed = await runParts(['a', 'b', 'c'].map(part), {
    isTimeLeft: () => true,
    async run({ name }) {
      if (name !== 'c') throw new Error(`${name} broke`)
    },
    print: (line) => void lines.push(line),
  })
  expect(failed).toEqual(['a', 'b'])
  expect(lines).toEqual([
    expect.stringMatching(/a: FAILED after 0\.0 min: a broke$/),
    expect.stringMatching(/b: FAILED after 0\.0 min: b broke$/),
    expect.stringMatching(/c: passed in 0\.0 min$/),
  ])
})

test('parts without remaining time are listed, and do not count as failures', async () => {
  const lines: string[] = []
  const begun: string[] = []
  const failed = await runParts(['a', 'b', 'c'].map(part), {
    isTimeLeft: () => begun.length === 0,
    async run({ name }) {
      begun.push(name)
    },
    print: (line) => void lines.push(line),
  })
  expect([failed, begun]).toEqual([[], ['a']])
  expect(lines.at(-1)).toBe('!!! NOT RUN for lack of time, on real services: b, c')
})

test('a hanging program is stopped and reported; a failing one is reported with its exit code', async () => {
  await expect(runNode(['-e', 'setInterval(() => {}, 1000)'], 600)).rejects.toThrow(
    'it had not ended after 0.01 min',
  )
  await expect(runNode(['-e', 'process.exit(3)'], 600_000)).rejects.toThrow('exit code 3')
  await runNode(['-e', ''], 600_000)
})
