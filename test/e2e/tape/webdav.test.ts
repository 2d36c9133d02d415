/** The conformance suite of tape drivers on a strict WebDAV endpoint, in each of its modes. */
import { createWebdavDriver, type WebdavOptions } from '../../../shared/tape/webdav/webdav.ts'
import { driverConformance } from '../../support/tape/conformance.ts'
import { startSourceServer } from '../../support/tape/sources.ts'
import { LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'
import { startWebdavServer, type WebdavServer } from '../../support/webdav-server.ts'

const TOKEN = 'a-token'

function webdavConformance(
  kind: string,
  options: Pick<WebdavOptions, 'thirdParty'>,
  digest: WebdavServer['digest'],
): void {
  driverConformance(kind, async () => {
    const [server, store] = await Promise.all([startWebdavServer(), startSourceServer()])
    server.token = TOKEN
    server.digest = digest
    const driver = createWebdavDriver({
      ...options,
      rootUrl: server.url.replace('http:', 'dav:'),
      token: { token: async () => TOKEN, refused: () => {} },
      tapeRest: 'auto',
      copySeconds: LONGEST_WAIT_SECONDS,
      limits: { settleSeconds: 0.05, silenceSeconds: LONGEST_WAIT_SECONDS, withoutThirdPartySeconds: 0 },
    })
    return {
      driver,
      plant: async (name, bytes) => void server.files.set(name, Buffer.from(bytes)),
      bytesAt: async (name) => server.files.get(name) ?? null,
      settle: async () => {},
      makeSource: store.source,
      async close() {
        await driver.close()
        await Promise.all([server.close(), store.close()])
      },
    }
  })
}

webdavConformance('webdav (third-party copy)', { thirdParty: 'auto' }, 'adler32')
webdavConformance('webdav (streaming)', { thirdParty: 'never' }, 'md5')
webdavConformance('webdav (streaming, no checksum stated)', { thirdParty: 'never' }, 'none')
