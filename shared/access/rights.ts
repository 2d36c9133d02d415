/**
 * Who may do what: the one table of roles and actions. From it follow the roles of CYGNET_ROLES, the rights that
 * scopes name, the authorization matrix of the tests, and docs/rights.md.
 */

/** Of IAM groups. Each role may do what the ones before it may. */
export const ROLES = ['reader', 'shifter', 'expert', 'run-coordinator', 'operator'] as const
export type Role = (typeof ROLES)[number]

/** What the scope of a token, a session or a role names, together with a tag: `read:LNGS`. */
export type Right = 'read' | 'link' | 'recall' | 'override' | 'operate' | 'push' | 'overwrite' | 'alert'

interface ActionRow {
  /** The first role that may do it; null: machines alone, by the scopes of their tokens. */
  readonly from: Role | null
  /**
   * The right that a route demands for it. `own`: being signed in, for what is the person's own. `planned`: no route
   * does it yet, and no scope grants it; its right is added with its route.
   */
  readonly right: Right | 'own' | 'planned'
  readonly what: string
}

export const ACTIONS = {
  read: { from: 'reader', right: 'read', what: 'see runs, their history, and where their copies are' },
  link: { from: 'reader', right: 'link', what: 'get links to the files of runs' },
  token: {
    from: 'reader',
    right: 'own',
    what: 'make and revoke personal tokens, with at most the rights of the person',
  },
  acknowledge: { from: 'shifter', right: 'planned', what: 'take charge of an alert that fires' },
  note: { from: 'shifter', right: 'planned', what: 'add a note to a run or an alert' },
  recall: { from: 'shifter', right: 'recall', what: 'have runs brought back from tape, within the budgets' },
  silence: { from: 'expert', right: 'planned', what: 'silence an alert for a limited time' },
  override: {
    from: 'run-coordinator',
    right: 'override',
    what: 'override what a run states of itself: correct its parameters',
  },
  campaign: { from: 'run-coordinator', right: 'planned', what: 'have many runs reconstructed again' },
  replay: {
    from: 'operator',
    right: 'operate',
    what: 'retry what failed: replay arrivals, send dead letters back or dismiss them',
  },
  clean: {
    from: 'operator',
    right: 'operate',
    what: 'free the buffer of what is safe on tape (commands only)',
  },
  operate: {
    from: 'operator',
    right: 'operate',
    what: 'see logs, queues, everybody’s tokens and the audit; revoke tokens, end sessions, exceed budgets; by commands: adopt, reconcile, verify, migrate, set notifications',
  },
  push: {
    from: null,
    right: 'push',
    what: 'send new runs; report the files on its own disk, and remove them by permission',
  },
  overwrite: { from: null, right: 'overwrite', what: 'also replace objects that exist' },
  alert: { from: null, right: 'alert', what: 'report alerts of another system, such as an Alertmanager' },
} as const satisfies Readonly<Record<string, ActionRow>>

export type Action = keyof typeof ACTIONS

const ROWS: readonly ActionRow[] = Object.values(ACTIONS)

const isRight = (right: ActionRow['right']): right is Right => right !== 'own' && right !== 'planned'

/** All rights, in the order of the table. */
export const RIGHTS: readonly Right[] = [
  ...new Set(ROWS.map(({ right }) => right).filter((right) => isRight(right))),
]

/** Rights that another one includes: whoever may operate may override, whoever may overwrite may push. */
const INCLUDED_IN: Readonly<Partial<Record<Right, Right>>> = { override: 'operate', push: 'overwrite' }

/** The right, and those that include it. */
export const grantedBy = (right: Right): readonly Right[] => [right, ...[INCLUDED_IN[right] ?? []].flat()]

/** What the right allows, for people. */
export const meaningOf = (right: Right): string =>
  ROWS.filter((row) => row.right === right)
    .map(({ what }) => what)
    .join('; ')

export const mayRole = (role: Role, action: Action): boolean => {
  const { from }: ActionRow = ACTIONS[action]
  return from !== null && ROLES.indexOf(role) >= ROLES.indexOf(from)
}

/** The rights of a role, without those that another one of them includes. */
export function rightsOf(role: Role): readonly Right[] {
  const rows = Object.entries(ACTIONS).filter(([action]) => mayRole(role, action as Action))
  const held = new Set(rows.map(([, { right }]) => right).filter((right) => isRight(right)))
  return [...held].filter((right) => !grantedBy(right).some((other) => other !== right && held.has(other)))
}
