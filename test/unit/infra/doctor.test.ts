import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { diagnose } from '../../../infra/local/doctor.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'

test('every finding states what needs it, and a remedy exactly when something is missing', async () => {
  const dataFolder = temporaryFolder()
  const findings = await diagnose({ dataFolder })
  expect(findings.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'node',
      'mariadbd',
      'igzip',
      'bzip2',
      'minio',
      'ceph',
      'go',
      'xrootd',
      'chromium',
      'disk',
      'ports',
    ]),
  )
  for (const { ok, found, neededFor, remedy } of findings) {
    expect(found).not.toBe('')
    expect(neededFor).not.toBe('')
    expect(remedy === null).toBe(ok)
  }
  expect(findings.find(({ name }) => name === 'node')).toMatchObject({ ok: true, found: process.version })
  rmSync(dataFolder, { recursive: true, force: true })
})

test('a data folder that cannot be created is reported with its path', async () => {
  const folder = temporaryFolder()
  const file = join(folder, 'file')
  writeFileSync(file, '')
  chmodSync(file, 0o600)
  const findings = await diagnose({ dataFolder: join(file, 'data') })
  expect(findings.find(({ name }) => name === 'data folder')).toMatchObject({
    ok: false,
    required: true,
    remedy: expect.stringContaining(file),
  })
  rmSync(folder, { recursive: true, force: true })
})
