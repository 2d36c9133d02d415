/** What groups may do: the setting is read strictly, and gives exactly what it says. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACTIONS, RIGHTS, type Right, ROLES, rightsOf } from '../../../shared/access/rights.ts'
import { parseRoles, scopesOfGroups } from '../../../shared/access/roles.ts'
import { allows, parseScope } from '../../../shared/access/scopes.ts'
import { access } from '../../../shared/config/access.ts'

describe('CYGNET_ROLES', () => {
  it('is read entry by entry, blanks aside', () => {
    expect(parseRoles(' /cygno=reader:* ; /cygno/ops=operator:LNGS;;/cygno=shifter:FLASH/2024 ')).toEqual([
      { group: 'cygno', role: 'reader', tag: '*' },
      { group: 'cygno/ops', role: 'operator', tag: 'LNGS' },
      { group: 'cygno', role: 'shifter', tag: 'FLASH/2024' },
    ])
    expect(parseRoles('')).toEqual([])
    expect(parseRoles('cn=cygno,ou=groups=reader:LNGS')).toEqual([
      { group: 'cn=cygno,ou=groups', role: 'reader', tag: 'LNGS' },
    ])
  })

  it.each([
    '/cygno',
    '/cygno=reader',
    '/cygno=reader:',
    '/cygno=admin:*',
    '/cygno=Reader:*',
    '/cygno=run coordinator:*',
    '=reader:*',
    '/=reader:*',
    '/cygno=reader:a//b',
    'reader:*',
  ])('with "%s" is refused, naming the entry', (entry) => {
    expect(() => parseRoles(`/good=reader:*;${entry}`)).toThrow(`"${entry}"`)
  })
})

describe('the table of rights', () => {
  it('gives the roles of settings that were written before it what they had, in that order', () => {
    expect(rightsOf('reader')).toEqual(['read', 'link'])
    expect(rightsOf('shifter')).toEqual(['read', 'link', 'recall'])
    expect(rightsOf('operator')).toEqual(['read', 'link', 'recall', 'operate'])
  })

  it('has rights for all scopes that tokens were made with', () => {
    expect(RIGHTS).toEqual(expect.arrayContaining(['read', 'link', 'recall', 'operate', 'push', 'overwrite']))
  })

  it('grants nothing for an action that no route does yet', () => {
    const planned = Object.entries(ACTIONS).filter(([, { right }]) => right === 'planned')
    expect(planned.map(([action]) => action)).toEqual(['acknowledge', 'note', 'silence', 'campaign'])
    for (const [action] of planned) expect(() => parseScope(`${action}:LNGS`)).toThrow('is not a scope')
  })

  it('names every role in the description of CYGNET_ROLES', () => {
    for (const role of ROLES) expect(access.roles.description).toContain(role)
  })
})

describe('a person', () => {
  const grants = parseRoles(
    '/cygno=reader:LNGS;/cygno/shifters=shifter:LNGS;/cygno/ops=operator:*;/lnf=reader:LNF',
  )

  it.each<[readonly string[], readonly string[]]>([
    [[], []],
    [['/cygno'], ['read:LNGS', 'link:LNGS']],
    [['cygno'], ['read:LNGS', 'link:LNGS']],
    [
      ['/cygno', '/cygno/shifters'],
      ['read:LNGS', 'link:LNGS', 'recall:LNGS'],
    ],
    [
      ['/cygno', '/lnf'],
      ['read:LNGS', 'link:LNGS', 'read:LNF', 'link:LNF'],
    ],
    [
      ['/cygno', '/cygno/ops'],
      ['read:*', 'link:*', 'recall:*', 'operate:*'],
    ],
    [['/CYGNO', '/cygno/', '//cygno', '/cygno/shifters/x', '/cygno=reader:*', '__proto__'], []],
    [['cygno ', ' /cygno', '\u00a0cygno', 'cygno\u0000'], []],
  ])('in %j has %j', (groups, scopes) => {
    expect(scopesOfGroups(grants, groups)).toEqual(scopes)
  })

  it('has what some role of theirs gives, for that tag or all, and nothing else', () => {
    const rights: Readonly<Record<string, readonly Right[]>> = {
      reader: ['read', 'link'],
      shifter: ['read', 'link', 'recall'],
      expert: ['read', 'link', 'recall'],
      'run-coordinator': ['read', 'link', 'recall', 'override'],
      operator: ['read', 'link', 'recall', 'override', 'operate'],
    }
    const grant = fc.record({
      group: fc.constantFrom('a', 'b', 'a/c'),
      role: fc.constantFrom(...ROLES),
      tag: fc.constantFrom('*', 'LNGS', 'LNF'),
    })
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 6 }), fc.subarray(['a', 'b', 'a/c']), (given, groups) => {
        const text = given.map(({ group, role, tag }) => `/${group}=${role}:${tag}`).join(';')
        const scopes = scopesOfGroups(parseRoles(text), groups)
        for (const right of RIGHTS)
          for (const tag of ['LNGS', 'LNF', 'MAN']) {
            const expected = given.some(
              (each) =>
                groups.includes(each.group) &&
                rights[each.role]?.includes(right) &&
                ['*', tag].includes(each.tag),
            )
            expect(allows(scopes, right, tag)).toBe(expected)
          }
      }),
    )
  })
})
