/**
 * Who may import whom; `npm run boundaries` checks it, test/infra/boundaries.test.ts proves that each rule can fail.
 *
 *   test, bench → cli → infra/local → shared        functions → shared
 *
 * Inside shared, the folders are stages; STAGES says what each may use besides itself. runtime is the last and uses all.
 */
const FOUNDATION = 'shared/(errors|config|log|metrics|time-text)[.]ts$'
const PURE = 'shared/errors[.]ts$'

/** What a stage may import, and from where it may take types besides: they are gone when the code runs. */
const STAGES = {
  queue: { code: [FOUNDATION], types: [] },
  storage: { code: [FOUNDATION], types: [] },
  extraction: { code: [FOUNDATION, 'shared/midas/', 'shared/notifications/run-key[.]ts$'], types: [] },
  tape: { code: [FOUNDATION, 'shared/(extraction|storage)/'], types: [] },
  access: { code: [FOUNDATION, 'shared/(catalogue|notifications)/'], types: [] },
  replicas: {
    code: [FOUNDATION, 'shared/(catalogue|extraction|notifications|queue|storage|tape)/', 'shared/runtime/waiting[.]ts$'],
    types: ['shared/runtime/context[.]ts$'],
  },
  catalogue: {
    code: [FOUNDATION, 'shared/(extraction|notifications|queue|storage)/', 'shared/access/scopes[.]ts$'],
    types: ['shared/midas/', 'shared/runtime/context[.]ts$'],
  },
}

const layer = (name, comment, from, to) => ({ name, comment, severity: 'error', from: { path: from }, to })
const only = (name, comment, from, allowed) =>
  layer(name, comment, from, { path: '^(functions|shared|cli|infra|test|bench)/', pathNot: allowed })

const stageRules = Object.entries(STAGES).flatMap(([stage, { code, types }]) => {
  const rule = (name, allowed, kind) => ({
    name,
    comment: `shared/${stage} imports itself and: ${allowed.join(', ')}`,
    severity: 'error',
    from: { path: `^shared/${stage}/` },
    to: { path: '^shared/', pathNot: [`shared/${stage}/`, ...allowed].map((path) => `^${path}`), ...kind },
  })
  return [
    rule(`stage-${stage}`, code, { dependencyTypesNot: ['type-only'] }),
    rule(`stage-${stage}-types`, [...code, ...types], { dependencyTypes: ['type-only'] }),
  ]
})

module.exports = {
  forbidden: [
    only('shared-imports-shared', 'shared is the ground: it imports nothing of ours but shared', '^shared/', '^shared/'),
    only('midas-is-pure', 'shared/midas: bytes in, values out; of ours it knows the errors alone', '^shared/midas/', [
      '^shared/midas/',
      `^${PURE}`,
    ]),
    only(
      'notifications-are-pure',
      'shared/notifications: text in, arrivals out; of ours it knows the errors alone',
      '^shared/notifications/',
      ['^shared/notifications/', `^${PURE}`],
    ),
    only('foundation-first', 'errors, config, log and the text of times import no stage', `^${FOUNDATION}`, `^${FOUNDATION}`),
    ...stageRules,
    only('functions-import-shared', 'a function imports shared and its own folder, never another function', '^functions/([^/]+)/', [
      '^shared/',
      '^functions/$1/',
    ]),
    layer('nobody-imports-an-entry', 'the entry of a Lambda reads its settings when it is imported', '^(functions|shared|cli|infra)/', {
      path: '^functions/[^/]+/lambda[.]ts$',
    }),
    only('cli-imports-shared-and-local', 'the command starts the local stack; it never imports a function', '^cli/', [
      '^cli/',
      '^shared/',
      '^infra/local/',
    ]),
    only('local-imports-shared', 'the local stack knows neither the command nor (before it is told which) a function', '^infra/local/', [
      '^infra/local/',
      '^shared/',
    ]),
    only('infra-tools', 'the tools of the repository read the command, the manifest and shared', '^infra/', [
      '^infra/',
      '^shared/',
      '^cli/main[.]ts$',
    ]),
    layer('no-tests-in-the-house', 'only tests and benchmarks import tests and benchmarks', '^(functions|shared|cli|infra)/', {
      path: '^(test|bench)/',
    }),
    {
      name: 'no-cycle',
      comment: 'no module needs itself; circles of types alone are harmless, they are gone when the code runs',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'shipped-code-uses-dependencies',
      comment: 'what is deployed must not need devDependencies (types may: they are gone when the code runs)',
      severity: 'error',
      from: { path: '^(functions|shared|cli)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'environment-in-one-place',
      comment: 'settings are read in shared/config/config.ts (biome forbids process.env elsewhere; this forbids the way round it)',
      severity: 'error',
      from: { pathNot: '^shared/config[.]ts$' },
      to: { path: '^(node:)?process$' },
    },
    { name: 'resolvable', comment: 'an import that leads nowhere', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
}
