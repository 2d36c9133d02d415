import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { installWithApt } from '../../../infra/local/apt.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'

let folder: string
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A program that records its arguments and then runs the script. */
function fake(name: string, script = 'exit 0'): string {
  const path = join(folder, name)
  writeFileSync(
    path,
    `#!/bin/sh\necho "${name} $DEBIAN_FRONTEND $*" >> ${join(folder, 'calls')}\n${script}\n`,
  )
  chmodSync(path, 0o755)
  return path
}

const calls = () =>
  existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trimEnd().split('\n') : []
const request = { packages: ['mariadb-server-core'], reason: 'MariaDB' }

test('as root the packages are installed without questions, and one line reports it', async () => {
  const lines: string[] = []
  await installWithApt({
    ...request,
    aptGet: fake('apt-get'),
    root: true,
    onProgress: (line) => lines.push(line),
  })
  expect(calls()).toEqual([
    expect.stringMatching(
      /^apt-get noninteractive .*install -y --no-install-recommends mariadb-server-core$/,
    ),
  ])
  expect(lines).toEqual(['MariaDB is not installed: installing mariadb-server-core with apt'])
})

test('with sudo without a password the packages are installed through sudo', async () => {
  const sudo = fake('sudo', 'shift; exec "$@"')
  await installWithApt({ ...request, aptGet: fake('apt-get'), sudo, root: false })
  expect(calls().at(-1)).toMatch(/^apt-get noninteractive .*install/)
})

test('where sudo needs a password or is missing, the error states the command to type, and nothing runs', async () => {
  const aptGet = fake('apt-get')
  for (const sudo of [fake('sudo', 'exit 1'), null])
    await expect(installWithApt({ ...request, aptGet, sudo, root: false })).rejects.toThrow(
      'type: sudo apt-get update && sudo apt-get install -y mariadb-server-core',
    )
  expect(calls().filter((call) => call.startsWith('apt-get'))).toEqual([])
})

test('an old package list is refreshed once', async () => {
  const updated = join(folder, 'updated')
  const aptGet = fake(
    'apt-get',
    `case "$*" in *update*) touch ${updated};; esac; [ -e ${updated} ] || exit 100`,
  )
  await installWithApt({ ...request, aptGet, root: true })
  expect(calls().map((call) => /install|update/.exec(call)?.[0])).toEqual(['install', 'update', 'install'])
})

test('when apt fails, the error has the end of its output, after one retry', async () => {
  const aptGet = fake(
    'apt-get',
    'echo "E: Unable to locate package" >&2; case "$*" in *update*) exit 0;; esac; exit 100',
  )
  await expect(installWithApt({ ...request, aptGet, root: true })).rejects.toThrow(/Unable to locate package/)
  expect(calls()).toHaveLength(3)
})

test('a machine without apt is reported', async () => {
  await expect(installWithApt({ ...request, aptGet: null, root: true })).rejects.toThrow(/no apt here/)
})
