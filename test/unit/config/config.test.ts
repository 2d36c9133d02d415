import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { loadConfig, redactedConfig } from '../../../shared/config/config.ts'
import { InvalidInputError } from '../../../shared/errors.ts'

const CYGNET_DATABASE_URL = 'mysql://cygnet:hunter2@127.0.0.1:3306/cygnet'

describe('settings', () => {
  test('have defaults for all but the database', () => {
    expect(loadConfig({ CYGNET_DATABASE_URL })).toMatchObject({
      store: { rawBuckets: ['cygno-data'] },
      work: { leaseSeconds: 120 },
    })
    expect(() => loadConfig({})).toThrow(/CYGNET_DATABASE_URL/)
  })

  test('that are wrong are all named, and their values are not shown', () => {
    const wrong = () =>
      loadConfig({ CYGNET_DATABASE_URL: 'postgres://u:hunter2@h/d', CYGNET_LEASE_SECONDS: 'soon' })
    expect(wrong).toThrow(InvalidInputError)
    expect(wrong).toThrow(/CYGNET_DATABASE_URL.*CYGNET_LEASE_SECONDS/)
    expect(wrong).not.toThrow(/hunter2/)
  })

  test.each(['', ' ', '\n'])('an empty variable (%j) counts as absent: it is no number 0', (empty) => {
    const config = loadConfig({
      CYGNET_DATABASE_URL,
      CYGNET_S3_ENDPOINT: empty,
      CYGNET_CLEAN_RUNS_AFTER_DAYS: empty,
    })
    expect(config.store.endpoint).toBeUndefined()
    expect(config.clean.runsAfterDays).toBeUndefined()
    const path = join(temporaryFolder(), 'days')
    writeFileSync(path, empty)
    expect(
      loadConfig({ CYGNET_DATABASE_URL, CYGNET_CLEAN_RUNS_AFTER_DAYS_FILE: path }).clean.runsAfterDays,
    ).toBeUndefined()
  })

  test.each([
    ['CYGNET_CLEAN_RUNS_AFTER_DAYS', '1e3'],
    ['CYGNET_CLEAN_RUNS_AFTER_DAYS', '-1'],
    ['CYGNET_CLEAN_RUNS_AFTER_DAYS', '0x10'],
    ['CYGNET_CLOUD_CAPACITY_BYTES', '10TB'],
    ['CYGNET_CLOUD_CAPACITY_BYTES', '0'],
    ['CYGNET_CLOUD_HIGH_WATER', '85'],
    ['CYGNET_CLOUD_HIGH_WATER', '0'],
    ['CYGNET_TAPE_COPIES_AT_ONCE', '0'],
    ['CYGNET_LEASE_SECONDS', '0'],
    ['CYGNET_LISTEN_PORT', '70000'],
    ['CYGNET_PROTECTED_PREFIXES', ','],
    ['CYGNET_RAW_BUCKETS', ' , '],
  ])('%s=%s is refused', (name, value) => {
    expect(() => loadConfig({ CYGNET_DATABASE_URL, [name]: value })).toThrow(
      new RegExp(`^configuration: ${name}: `),
    )
  })

  test('secrets come from files too', () => {
    const path = join(temporaryFolder(), 'token')
    writeFileSync(path, 'from-a-file\n')
    expect(
      loadConfig({ CYGNET_DATABASE_URL, CYGNET_NOTIFICATION_TOKEN_FILE: path }).ingest.notificationToken,
    ).toBe('from-a-file')
    expect(() => loadConfig({ CYGNET_DATABASE_URL, CYGNET_NOTIFICATION_TOKEN_FILE: '/not/there' })).toThrow(
      /CYGNET_NOTIFICATION_TOKEN_FILE/,
    )
  })

  test('are shown without secrets', () => {
    const shown = JSON.stringify(
      redactedConfig(
        loadConfig({
          CYGNET_DATABASE_URL,
          CYGNET_NOTIFICATION_TOKEN: 't0ken',
          CYGNET_S3_SECRET_ACCESS_KEY: 's3cret',
        }),
      ),
    )
    expect(shown).not.toMatch(/hunter2|t0ken|s3cret/)
    expect(shown).toContain('mysql://cygnet:***@127.0.0.1:3306/cygnet')
  })
})
