/** docs/rights.md: the table of roles and actions. */
import { ACTIONS, type Action, mayRole, ROLES } from '../../shared/access/rights.ts'

const NAMES = { own: 'own (signed in)', planned: 'planned' } as const

export function rightsPage(): string {
  const rows = Object.entries(ACTIONS).map(([action, { from, right, what }]) => {
    const name = right === 'own' || right === 'planned' ? NAMES[right] : `\`${right}\``
    const roles = ROLES.map((role) => (mayRole(role, action as Action) ? '●' : ''))
    return `| ${[action, name, ...roles, from === null ? '●' : '', what].join(' | ')} |`
  })
  const head = ['action', 'right', ...ROLES, 'machine', 'what it is']
  return `# Rights: who may do what

Generated from \`shared/access/rights.ts\` by \`npm run generate\`. People have roles by their groups in the IAM
(\`CYGNET_ROLES\`): [deploy/people.md](deploy/people.md) shows how somebody gets in. A right holds for a tag, or for
all tags (\`*\`). Scopes of tokens name rights: \`read:LNGS\`, \`operate:*\`.

| ${head.join(' | ')} |
|${head.map((_, index) => (index < 2 || index === head.length - 1 ? '---|' : ':-:|')).join('')}
${rows.join('\n')}

Each role may do what the ones to its left may. \`operate\` includes \`override\`, and \`overwrite\` includes \`push\`.
Machines have API tokens with single rights of any kind (\`cygnet token create\`). Planned actions have their place
in the table, but nothing does them yet, and no scope grants them. Every use of a right that changes something is
recorded with the person: [concepts.md](concepts.md).
`
}
