import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { RUN_NUMBER, smallRun } from '../../support/midas-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'cygnet-inspect-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const command = new URL('../../../cli/cygnet', import.meta.url).pathname
const cygnet = (...args: string[]) => spawnSync(command, ['inspect', ...args], { encoding: 'utf8' })

function write(place: string, bytes: Uint8Array): string {
  const path = join(folder, place)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

const name = `run${RUN_NUMBER}.mid.gz`
const file = new Uint8Array(gzipSync(smallRun()))

describe('cygnet inspect', () => {
  it('cygnet inspect prints one JSON object, with the tag of the folder', () => {
    const { status, stdout } = cygnet(write(`LNGS/${name}`, file), '--json')
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      runNumber: RUN_NUMBER,
      tag: 'LNGS',
      complete: true,
      problem: null,
      warnings: [],
      eventCount: 4,
    })
  })

  it('cygnet inspect uses --tag, and no tag from a folder without the form of a tag', () => {
    const path = write(`some folder/${name}`, file)
    expect(JSON.parse(cygnet(path, '--json').stdout).tag).toBeNull()
    expect(JSON.parse(cygnet(path, '--json', '--tag', 'MAN').stdout).tag).toBe('MAN')
  })

  it('cygnet inspect exits 0 for an incomplete file and states what is missing, with and without --json', () => {
    const path = write(`LNF/${name}`, file.slice(0, -30))
    const { status, stdout } = cygnet(path)
    expect(status).toBe(0)
    expect(stdout).toMatch(/complete +no/)
    expect(stdout).toMatch(/problem +the compressed file is cut at byte/)
  })

  it.each([
    ['an empty file', () => write(`BAD/${name}`, new Uint8Array(0))],
    ['a file that is not there', () => join(folder, 'nowhere.mid')],
    ['a folder', () => folder],
  ])('cygnet inspect exits 1 for %s, with the reason as JSON with --json', (_, path) => {
    const asJson = cygnet(path(), '--json')
    expect(asJson.status).toBe(1)
    expect(Object.keys(JSON.parse(asJson.stdout))).toEqual(['error'])
    const asText = cygnet(path())
    expect(asText.status).toBe(1)
    expect(asText.stdout).toBe('')
    expect(asText.stderr.trim().split('\n')).toHaveLength(1)
  })
})
