/**
 * A mock of a path that does not exist replaces nothing, and vitest does not say so: the test would then run
 * on the real module.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const MOCK = /\bvi\.(?:doMock|mock|importActual|importMock)(?:<.*?>)?\(\s*(?:import\(\s*)?['"](\.[^'"]*)['"]/g

/** The relative paths that a source mocks. */
const mockedPaths = (source: string): readonly string[] =>
  [...source.matchAll(MOCK)].map(([, path = '']) => path)

test('every mocked module of the project exists', () => {
  const missing = globSync('test/**/*.ts', { cwd: PROJECT }).flatMap((file) =>
    mockedPaths(readFileSync(join(PROJECT, file), 'utf8'))
      .filter((path) => !existsSync(join(PROJECT, dirname(file), path)))
      .map((path) => `${file} mocks ${path}`),
  )
  expect(missing).toEqual([])
})

test('a mock is found however it is written', () => {
  const call = (name: string, rest: string) => `vi.${name}(${rest}`
  const sources = [
    call('mock', "'../a.ts', () => ({}))"),
    call('mock', "import('../b.ts'), async (original) => ({}))"),
    call('doMock', "\n  '../c.ts',\n)"),
    'vi.importActual' + "<typeof import('../d.ts')>('../d.ts')",
  ]
  expect(sources.flatMap(mockedPaths)).toEqual(['../a.ts', '../b.ts', '../c.ts', '../d.ts'])
  expect(mockedPaths(call('mock', "'node:timers/promises')"))).toEqual([])
})
