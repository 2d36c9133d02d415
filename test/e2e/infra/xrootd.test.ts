import { existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { missingXrootd, startXrootd, type Xrootd } from '../../../infra/local/services/xrootd/xrootd.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import type { TapeDriver } from '../../../shared/tape/driver.ts'
import { createWebdavDriver } from '../../../shared/tape/webdav/webdav.ts'
import { tapeFileOf } from '../../support/tape/files.ts'
import { memorySource } from '../../support/tape/sources.ts'

const never = new AbortController().signal

const open = (xrootd: Xrootd, token: string | null): TapeDriver =>
  createWebdavDriver({
    rootUrl: xrootd.url,
    caFile: xrootd.caFile,
    token: { token: async () => token, refused: () => {} },
    thirdParty: 'never',
    tapeRest: 'auto',
    copySeconds: 600,
  })

// Skipped without XRootD on the machine; `npm run setup -- --with xrootd` installs it.
test.skipIf((await missingXrootd()).length > 0)(
  'XRootD keeps its files, authority and tokens after a restart, and refuses all others',
  async () => {
    const dataFolder = temporaryFolder()
    const bytes = Buffer.from('a run')
    const file = await tapeFileOf(bytes, 'cygno-data/LNGS/run00001.mid.gz')
    const first = await startXrootd({ dataFolder })
    const token = first.token(3600)
    const driver = open(first, token)
    await driver.copy(file, memorySource(file.name, bytes), { attempt: 1 }, never)
    await driver.close()
    await first.stop()

    const second = await startXrootd({ dataFolder })
    try {
      const [again, stranger] = [open(second, token), open(second, null)]
      expect(await again.check(file, { reference: null, readBack: 'always' }, never)).toMatchObject({
        kind: 'present',
        onMedia: true,
      })
      await expect(stranger.check(file, { reference: null, readBack: 'never' }, never)).rejects.toThrow(
        /our token does not allow this/,
      )
      await Promise.all([again.close(), stranger.close()])
      // Where the server runs as another user, that user may only pass through the folders above its own.
      expect(statSync(join(dataFolder, 'xrootd')).mode & 0o066).toBe(0)
      expect(statSync(join(dataFolder, 'xrootd', 'authority', 'ca-key.pem')).mode & 0o077).toBe(0)
      expect(existsSync(join(second.filesFolder, 'cygno', file.name))).toBe(true)
    } finally {
      await second.stop()
      rmSync(dataFolder, { recursive: true, force: true })
    }
  },
)
