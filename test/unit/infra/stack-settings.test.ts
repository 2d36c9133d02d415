import { expect, test } from 'vitest'
import { settingsFrom } from '../../../infra/local/stack-settings.ts'

const OWN = {
  CYGNET_DATABASE_URL: 'mysql://own',
  CYGNET_S3_ENDPOINT: 'http://own',
  CYGNET_LEASE_SECONDS: '30',
  CYGNET_TAPE_DRIVER: 'directory',
  CYGNET_TAPE_DIRECTORY: '/own',
}
const from = (environment: Record<string, string | undefined>) => settingsFrom(OWN, environment)

test('settings of the environment are those of the stack, and are listed without their values', () => {
  const { settings, notes } = from({
    CYGNET_ANONYMOUS_SCOPES: 'read:LNGS',
    CYGNET_LEASE_SECONDS: '7',
    HOME: '/root',
    CYGNET_FOLDER: '/x',
    CYGNET_LINK_SECONDS: undefined,
  })
  expect(settings).toEqual({ ...OWN, CYGNET_ANONYMOUS_SCOPES: 'read:LNGS', CYGNET_LEASE_SECONDS: '7' })
  expect(notes).toEqual(['from the environment: CYGNET_ANONYMOUS_SCOPES, CYGNET_LEASE_SECONDS'])
})

test('a mistyped setting is stated as one without effect', () => {
  const { settings, notes } = from({ CYGNET_ANONYMUS_SCOPES: 'read:LNGS', CYGNET_LINK_SECONDS: '60' })
  expect(settings).toEqual({ ...OWN, CYGNET_LINK_SECONDS: '60' })
  expect(notes).toEqual([
    'from the environment: CYGNET_LINK_SECONDS',
    'without effect, since there is no setting of this name: CYGNET_ANONYMUS_SCOPES',
  ])
})

test.each([
  'CYGNET_DATABASE_URL',
  'CYGNET_DATABASE_URL_FILE',
  'CYGNET_S3_ENDPOINT',
  'CYGNET_API_TOKEN',
  'CYGNET_API_TOKEN_FILE',
])('%s of a real installation does not reach the stack, and this is stated', (name) => {
  const { settings, notes } = from({ [name]: 'real' })
  expect(settings).toEqual(OWN)
  expect(notes).toEqual([`not taken from the environment, since the stack has its own services: ${name}`])
})

test('a tape endpoint of the environment replaces that of the stack as a whole', () => {
  const given = { CYGNET_TAPE_DRIVER: 'webdav', CYGNET_TAPE_URL: 'https://tape/' }
  const { CYGNET_TAPE_DIRECTORY: _, ...others } = OWN
  expect(from(given).settings).toEqual({ ...others, ...given })
})

test('a setting that is given as a file replaces that of the stack', () => {
  const { CYGNET_LEASE_SECONDS: _, ...others } = OWN
  const given = { CYGNET_LEASE_SECONDS_FILE: '/run/secrets/lease' }
  expect(from(given).settings).toEqual({ ...others, ...given })
})
