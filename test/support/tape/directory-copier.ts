/**
 * A process that copies one file into a folder, for tests with several processes:
 * `directory-copier.ts FOLDER NAME SEED [hangs] [no-links]`. Prints the result. `hangs`: it stops half-way.
 */
import { createDirectoryDriver } from '../../../shared/tape/directory/directory.ts'
import { tapeFileOf } from './files.ts'

const [folder = '', name = '', seed = '', ...flags] = process.argv.slice(2)
const bytes = Buffer.alloc(2_000_000, seed)
const file = await tapeFileOf(bytes, name)
const noLinks = () =>
  Promise.reject(Object.assign(new Error('made by the test'), { code: 'EPERM', syscall: 'link' }))
const driver = createDirectoryDriver({ folder, ...(flags.includes('no-links') ? { hardLink: noLinks } : {}) })

const hang = () => new Promise(() => setInterval(() => {}, 1000))

async function* chunks() {
  for (let at = 0; at < bytes.length; at += 100_000) {
    yield bytes.subarray(at, at + 100_000)
    if (at !== 1_000_000) continue
    console.log('half-way')
    if (flags.includes('hangs')) await hang()
  }
}
const source = { object: { bucket: 'b', key: 'k' }, open: chunks, presign: async () => '' }
try {
  console.log((await driver.copy(file, source, { attempt: 1 }, new AbortController().signal)).kind)
} catch (error) {
  console.log(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
}
