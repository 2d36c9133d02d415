/**
 * A process that copies one file into a folder, for tests of what processes do to each other:
 * `directory-copier.ts FOLDER NAME SEED [slow] [no-links]`. Prints how it ended.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createDirectoryDriver } from '../../shared/tape/directory.ts'
import { tapeFileOf } from './files.ts'

const [folder = '', name = '', seed = '', ...flags] = process.argv.slice(2)
const bytes = Buffer.alloc(2_000_000, seed)
const file = await tapeFileOf(bytes, name)
const noLinks = () => Promise.reject(Object.assign(new Error('made by the test'), { code: 'EPERM', syscall: 'link' }))
const driver = createDirectoryDriver({ folder, ...(flags.includes('no-links') ? { hardLink: noLinks } : {}) })

async function* chunks() {
  for (let at = 0; at < bytes.length; at += 100_000) {
    yield bytes.subarray(at, at + 100_000)
    if (flags.includes('slow')) await sleep(200)
    if (at === 1_000_000) console.log('half-way')
  }
}
const source = { object: { bucket: 'b', key: 'k' }, open: chunks, presign: async () => '' }
try {
  console.log((await driver.copy(file, source, { attempt: 1 }, new AbortController().signal)).kind)
} catch (error) {
  console.log(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
}
