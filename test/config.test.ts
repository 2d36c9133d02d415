import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../infra/local/testing.ts'
import { loadConfig, redactedConfig } from '../shared/config.ts'
import { InvalidInputError } from '../shared/errors.ts'

const CYGNET_DATABASE_URL = 'mysql://cygnet:hunter2@127.0.0.1:3306/cygnet'

describe('settings', () => {
  test('have defaults for all but the database', () => {
    expect(loadConfig({ CYGNET_DATABASE_URL })).toMatchObject({ CYGNET_RAW_BUCKETS: ['cygno-data'], CYGNET_TIME_ZONE: 'Europe/Rome' })
    expect(() => loadConfig({})).toThrow(/CYGNET_DATABASE_URL/)
  })

  test('that are wrong are all named, and their values are not shown', () => {
    const wrong = () => loadConfig({ CYGNET_DATABASE_URL: 'postgres://u:hunter2@h/d', CYGNET_LEASE_SECONDS: 'soon' })
    expect(wrong).toThrow(InvalidInputError)
    expect(wrong).toThrow(/CYGNET_DATABASE_URL.*CYGNET_LEASE_SECONDS/)
    expect(wrong).not.toThrow(/hunter2/)
  })

  test('an empty variable counts as absent', () => {
    expect(loadConfig({ CYGNET_DATABASE_URL, CYGNET_S3_ENDPOINT: '' }).CYGNET_S3_ENDPOINT).toBeUndefined()
  })

  test('secrets come from files too', () => {
    const path = join(temporaryFolder(), 'token')
    writeFileSync(path, 'from-a-file\n')
    expect(loadConfig({ CYGNET_DATABASE_URL, CYGNET_NOTIFICATION_TOKEN_FILE: path }).CYGNET_NOTIFICATION_TOKEN).toBe('from-a-file')
    expect(() => loadConfig({ CYGNET_DATABASE_URL, CYGNET_NOTIFICATION_TOKEN_FILE: '/not/there' })).toThrow(
      /CYGNET_NOTIFICATION_TOKEN_FILE/,
    )
  })

  test('are shown without secrets', () => {
    const shown = JSON.stringify(
      redactedConfig(loadConfig({ CYGNET_DATABASE_URL, CYGNET_NOTIFICATION_TOKEN: 't0ken', CYGNET_S3_SECRET_ACCESS_KEY: 's3cret' })),
    )
    expect(shown).not.toMatch(/hunter2|t0ken|s3cret/)
    expect(shown).toContain('mysql://cygnet:***@127.0.0.1:3306/cygnet')
  })
})
