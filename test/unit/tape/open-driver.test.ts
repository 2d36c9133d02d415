/** Which driver the settings give, and what they say when something is missing. */
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../shared/config/config.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/log.ts'
import { openTapeDriver } from '../../../shared/tape/open-driver.ts'

const log = createLogger({ function: 'test', level: 'silent' })
const open = (environment: Readonly<Record<string, string>>) =>
  openTapeDriver(loadConfig({ CYGNET_DATABASE_URL: 'mysql://none@localhost/none', ...environment }), log)

const TAPE = { CYGNET_TAPE_URL: 'davs://tape.example.org:8443/cygno/' }
const RUCIO = {
  CYGNET_RUCIO_URL: 'https://rucio.example.org',
  CYGNET_RUCIO_ACCOUNT: 'cygno',
  CYGNET_RUCIO_SOURCE_RSE: 'CNAF_USERDISK',
  CYGNET_RUCIO_TAPE_RSE: 'CNAF_TAPE',
}
const IAM = {
  CYGNET_TAPE_TOKEN_URL: 'https://iam.example.org/token',
  CYGNET_TAPE_CLIENT_ID: 'cygnet',
  CYGNET_TAPE_CLIENT_SECRET: 'top-secret',
}

describe('the driver of the settings', () => {
  it('is null unless one is configured', async () => {
    expect(await open({})).toBeNull()
    expect(await open({ CYGNET_TAPE_DRIVER: 'none', ...TAPE })).toBeNull()
  })

  it.each<[string, Record<string, string>]>([
    ['directory', { CYGNET_TAPE_DIRECTORY: '/mnt/ltfs/cygno' }],
    ['webdav', TAPE],
    ['webdav', { ...TAPE, ...IAM }],
    ['fts', { ...TAPE, ...IAM, CYGNET_FTS_URL: 'https://fts.example.org:8446' }],
    ['rucio', { ...RUCIO, ...IAM }],
    ['rucio', { ...RUCIO, ...TAPE, CYGNET_TAPE_TOKEN: 'top-secret' }],
  ])('is %s, without asking anybody yet', async (kind, environment) => {
    const driver = await open({ CYGNET_TAPE_DRIVER: kind, ...environment })
    expect(driver?.kind).toBe(kind)
    expect(driver?.endpoint).not.toContain('top-secret')
    await driver?.close()
  })

  it.each<[string, Record<string, string>, readonly string[]]>([
    ['directory', {}, ['CYGNET_TAPE_DIRECTORY']],
    ['webdav', {}, ['CYGNET_TAPE_URL']],
    ['fts', {}, ['CYGNET_FTS_URL', 'CYGNET_TAPE_URL']],
    ['fts', TAPE, ['CYGNET_FTS_URL']],
    [
      'rucio',
      { CYGNET_RUCIO_ACCOUNT: 'cygno' },
      ['CYGNET_RUCIO_URL', 'CYGNET_RUCIO_SOURCE_RSE', 'CYGNET_RUCIO_TAPE_RSE'],
    ],
  ])('%s needs what is not set, and all of it is named at once', async (kind, environment, missing) => {
    const failure = open({ CYGNET_TAPE_DRIVER: kind, ...environment })
    await expect(failure).rejects.toThrow(InvalidInputError)
    await expect(failure).rejects.toThrow(
      `CYGNET_TAPE_DRIVER is ${kind}: ${missing.join(', ')} must be set as well`,
    )
  })
})
