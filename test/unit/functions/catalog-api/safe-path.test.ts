/** Where a browser goes after signing in: no text makes that another site. */
import { describe, expect, it } from 'vitest'
import { safePath } from '../../../../functions/catalog-api/access/safe-path.ts'

describe('after signing in one goes', () => {
  it.each([
    '/',
    '/runs',
    '/runs?tag=LNGS&from=1#x',
    '/runs/FLASH%2F2024/123',
    '/runs?next=//evil.example',
    '/a//b',
  ])('to %s', (path) => {
    expect(safePath(path)).toBe(path)
  })

  it.each([
    undefined,
    '',
    'runs',
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '/ /evil.example',
    '/.//evil.example',
    '/..//evil.example',
    '/x/..//evil.example',
    '/%2e//evil.example',
    '/%2F%2Fevil.example',
    '/%5Cevil.example',
    '/.%2Fevil.example/..//evil.example',
    'https://evil.example',
    'https:evil.example',
    'http:/evil.example',
    '@evil.example',
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'data:text/html,x',
    '/sign-in',
    '/sign-in?to=/sign-in',
    '/sign-out',
    `/${'x'.repeat(3000)}`,
    // Each of them becomes six letters, and a cookie has no room for so many.
    `/${'\u00e9'.repeat(1000)}`,
  ])('to the first page in place of %j', (path) => {
    expect(safePath(path)).toBe('/')
  })
})
