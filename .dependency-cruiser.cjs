/**
 * Who may import whom; `npm run boundaries` checks it, test/e2e/infra/boundaries.test.ts proves that each
 * rule can fail.
 *
 *   test, bench → cli → infra/local → shared        functions → shared
 *
 * Inside shared, LAYERS states what each folder may import besides itself; imports of types count like all
 * others.
 */
const FOUNDATION = 'shared/(errors|log|csv|run|text)[.]ts$|^shared/(config|time)/'

/** What every use case may import. */
const USE_CASE = [
  'catalogue',
  'context',
  'database',
  'extraction',
  'messages',
  'notifications',
  'queries',
  'queue',
  'storage',
  'work',
]

/**
 * Formats and ports, then rows and what is done with them, then use cases (which never import each other),
 * then their hosts.
 */
const LAYERS = {
  extraction: ['midas', 'notifications'],
  queue: [],
  storage: [],
  tape: ['extraction', 'storage'],
  database: ['extraction', 'messages', 'midas'],
  access: ['database', 'notifications'],
  work: ['context', 'database', 'messages', 'queue'],
  catalogue: ['database', 'extraction', 'messages', 'notifications', 'queue', 'storage', 'work'],
  queries: ['catalogue', 'database', 'extraction', 'messages', 'notifications', 'queue', 'storage'],
  ingest: USE_CASE,
  copies: [...USE_CASE, 'tape'],
  alerts: [...USE_CASE, 'access'],
  runtime: ['alerts', 'context', 'database', 'queue', 'storage', 'tape', 'work'],
}

const layer = (name, comment, from, to) => ({ name, comment, severity: 'error', from: { path: from }, to })
const only = (name, comment, from, allowed) =>
  layer(name, comment, from, { path: '^(functions|shared|cli|infra|test|bench)/', pathNot: allowed })

const layerRules = Object.entries(LAYERS).map(([folder, imports]) =>
  only(
    `layer-${folder}`,
    `shared/${folder} imports itself, the foundation and: ${imports.join(', ')}`,
    `^shared/${folder}/`,
    [`^shared/${folder}/`, `^${FOUNDATION}`, ...imports.map((name) => `^shared/${name}([.]ts$|/)`)],
  ),
)

module.exports = {
  forbidden: [
    only(
      'shared-imports-shared',
      'shared is the ground: it imports nothing of ours but shared',
      '^shared/',
      '^shared/',
    ),
    only(
      'midas-is-pure',
      'shared/midas: bytes in, values out; of ours it knows the errors and text.ts',
      '^shared/midas/',
      ['^shared/midas/', '^shared/(errors|text)[.]ts$'],
    ),
    only(
      'notifications-are-pure',
      'shared/notifications: text in, arrivals out; of ours it knows the errors, run.ts and text.ts',
      '^shared/notifications/',
      ['^shared/notifications/', '^shared/(errors|run|text)[.]ts$'],
    ),
    only(
      'messages-are-pure',
      'shared/messages: text in, messages out; of ours it knows notifications, the errors, run.ts and text.ts',
      '^shared/messages/',
      ['^shared/(messages|notifications)/', '^shared/(errors|run|text)[.]ts$'],
    ),
    only(
      'foundation-first',
      'errors, log, csv, run, text, config and time import no layer',
      `^${FOUNDATION}`,
      `^${FOUNDATION}`,
    ),
    only(
      'context-is-types-of-ports',
      'shared/context.ts names what hosts open: ports and the foundation',
      '^shared/context[.]ts$',
      [`^${FOUNDATION}`, '^shared/(database|queue|storage|tape|alerts/channels)/'],
    ),
    ...layerRules,
    layer(
      'every-folder-has-its-layer',
      'a new folder of shared states in LAYERS what it may import',
      '^shared/',
      {
        path: '^shared/[^/]+/',
        pathNot: `^shared/(midas|notifications|messages|config|time|${Object.keys(LAYERS).join('|')})/`,
      },
    ),
    only(
      'functions-import-shared',
      'a function imports shared and its own folder, never another function',
      '^functions/([^/]+)/',
      ['^shared/', '^functions/$1/'],
    ),
    layer(
      'nobody-imports-an-entry',
      'the entry of a Lambda reads its settings when it is imported',
      '^(functions|shared|cli|infra)/',
      {
        path: '^functions/[^/]+/lambda[.]ts$',
      },
    ),
    only(
      'cli-imports-shared-and-local',
      'the command starts the local stack; it never imports a function',
      '^cli/',
      ['^cli/', '^shared/', '^infra/local/'],
    ),
    only(
      'local-imports-shared',
      'the local stack knows neither the command nor, before it starts one, a function',
      '^infra/local/',
      ['^infra/local/', '^shared/'],
    ),
    only('infra-tools', 'the tools of the repository read the command, the manifest and shared', '^infra/', [
      '^infra/',
      '^shared/',
      '^cli/main[.]ts$',
    ]),
    layer(
      'no-tests-in-the-house',
      'only tests and benchmarks import tests and benchmarks',
      '^(functions|shared|cli|infra)/',
      {
        path: '^(test|bench)/',
      },
    ),
    {
      name: 'no-cycle',
      comment: 'no module needs itself, not even for a type',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'shipped-code-uses-dependencies',
      comment: 'what is deployed must not need devDependencies (types may: they are gone when the code runs)',
      severity: 'error',
      from: { path: '^(functions|shared|cli)/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
        pathNot: 'node_modules/@types/',
      },
    },
    {
      name: 'environment-in-one-place',
      comment:
        'settings are read in shared/config (biome forbids process.env elsewhere; this forbids the way round it)',
      severity: 'error',
      from: { pathNot: '^shared/config/config[.]ts$' },
      to: { path: '^(node:)?process$' },
    },
    {
      name: 'resolvable',
      comment: 'an import that leads nowhere',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
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
