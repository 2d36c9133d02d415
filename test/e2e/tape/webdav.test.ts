/** The conformance suite of tape drivers on a strict WebDAV endpoint, in each of its modes. */
import { createWebdavDriver, type WebdavOptions } from '../../../shared/tape/webdav/webdav.ts'
import { driverConformance } from '../../support/tape/conformance.ts'
import { startSourceServer } from '../../support/tape/sources.ts'
import { startTapeRestServer } from '../../support/tape-rest-server.ts'
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

/** The root of the endpoint in paths of its tape system. */
const ROOT = '/cygno/'

driverConformance(
  'webdav (with a tape system)',
  async () => {
    const [server, store, tape] = await Promise.all([
      startWebdavServer(),
      startSourceServer(),
      startTapeRestServer(),
    ])
    server.token = TOKEN
    server.digest = 'adler32'
    const wellKnown = '/.well-known/wlcg-tape-rest-api'
    server.elsewhere.set(wellKnown, () => fetch(`${tape.origin}${wellKnown}`))
    const asleep = new Set<string>()
    tape.localities.get = (path) => {
      const name = path.slice(ROOT.length)
      if (!path.startsWith(ROOT) || !server.files.has(name)) return undefined
      return asleep.has(name) ? 'TAPE' : 'DISK_AND_TAPE'
    }
    const driver = createWebdavDriver({
      thirdParty: 'auto',
      rootUrl: server.url,
      token: { token: async () => TOKEN, refused: () => {} },
      tapeRest: 'auto',
      copySeconds: LONGEST_WAIT_SECONDS,
      limits: { settleSeconds: 0.05, silenceSeconds: LONGEST_WAIT_SECONDS, withoutThirdPartySeconds: 0 },
    })
    return {
      driver,
      plant: async (name, bytes) => void server.files.set(name, Buffer.from(bytes)),
      bytesAt: async (name) => server.files.get(name) ?? null,
      sleep: (name) => void asleep.add(name),
      async settle() {
        for (const { paths } of tape.requests)
          for (const path of paths) asleep.delete(path.slice(ROOT.length))
      },
      makeSource: store.source,
      async close() {
        await driver.close()
        await Promise.all([server.close(), store.close(), tape.close()])
      },
    }
  },
  { stagesTogether: true },
)

webdavConformance('webdav (third-party copy)', { thirdParty: 'auto' }, 'adler32')
webdavConformance('webdav (streaming)', { thirdParty: 'never' }, 'md5')
webdavConformance('webdav (streaming, no checksum stated)', { thirdParty: 'never' }, 'none')
