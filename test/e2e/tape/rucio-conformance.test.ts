import { afterAll, describe } from 'vitest'
import { adler32Hex } from '../../support/memory-endpoint.ts'
import { STORE, splitName, startRucioFixture } from '../../support/rucio-fixture.ts'
import { driverConformance, tapeFileOf } from '../../support/tape/conformance.ts'
import { startSourceServer } from '../../support/tape/sources.ts'

/** The objects of the store, by address. */
const links = new Map<string, string>()

describe('with a Rucio that transfers', async () => {
  const store = await startSourceServer()
  afterAll(() => store.close())

  driverConformance(
    'rucio',
    async () => {
      const { rucio, endpoint, open, placeOf } = await startRucioFixture({
        async transfer({ source, destination, adler32, sizeBytes }) {
          const fetched = new Uint8Array(await (await fetch(links.get(source) ?? '')).arrayBuffer())
          if (fetched.length !== sizeBytes || (await adler32Hex(fetched)) !== adler32)
            throw new Error('checksum validation failed')
          endpoint.files.set(endpoint.nameOf(destination) ?? '', fetched)
        },
      })
      const driver = open()
      return {
        driver,
        async plant(name, planted) {
          const { sizeBytes, adler32, md5 } = await tapeFileOf(planted, name)
          rucio.know({ ...splitName(name), bytes: sizeBytes, adler32, md5 }, 'TAPE')
          endpoint.files.set(placeOf(name), planted)
        },
        bytesAt: async (name) => endpoint.files.get(placeOf(name)) ?? null,
        async settle() {
          await rucio.run()
          rucio.giveUp()
        },
        makeSource(name, of, fault) {
          const source = store.source(name, of, fault)
          void source.presign(60).then((link) => links.set(`${STORE}${name}`, link))
          return source
        },
        async close() {
          await driver.close()
          await rucio.close()
        },
      }
    },
    { asynchronous: true, plainNames: true, stagesTogether: true },
  )
})
