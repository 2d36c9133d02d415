import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { keptPorts } from '../../../infra/local/kept-ports.ts'
import { LOOPBACK } from '../../../infra/local/ports.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cygnet-ports-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a port that another program uses now is replaced, with a sentence, and the new one is kept', async () => {
  const path = join(folder, 'ports.json')
  const lines: string[] = []
  const ports = keptPorts(path, (line) => lines.push(line))
  const [first, other] = [await ports.of('catalog-api'), await ports.of('iam')]
  expect(first).not.toBe(other)
  expect(lines).toEqual([])
  const program = createServer().listen(first, LOOPBACK)
  await new Promise((resolve) => program.once('listening', resolve))
  const second = await keptPorts(path, (line) => lines.push(line)).of('catalog-api')
  expect(second).not.toBe(first)
  expect(lines).toEqual([
    `port ${first} of catalog-api is used by another program; catalog-api now has ${second}`,
  ])
  await new Promise((resolve) => program.close(resolve))
})
