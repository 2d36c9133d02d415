/**
 * The settings of every process, read from the environment in this one module and nowhere else.
 *
 * Any variable may be given as NAME_FILE instead, the path of a file that holds the value: that is how OpenFaaS,
 * Knative and Docker hand over secrets. docs/configuration.md is generated from the descriptions below.
 */
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { InvalidInputError } from './errors.ts'

const text = z.string().trim().min(1)
const list = text.transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
)
const whole = z.coerce.number().int().nonnegative()
const setting = <T extends z.ZodType>(schema: T, description: string, secret = false) => schema.meta({ description, secret })

/** Variable by variable; the order is the order of the documentation. */
export const variables = {
  CYGNET_DATABASE_URL: setting(
    z.url({ protocol: /^(mysql|mariadb)$/ }),
    'MariaDB of the catalogue: mysql://user:password@host:port/database',
    true,
  ),
  CYGNET_DATABASE_CONNECTIONS: setting(whole.default(8), 'connections one process opens to the catalogue, at most'),
  CYGNET_S3_ENDPOINT: setting(z.url().optional(), 'S3 endpoint; absent means AWS itself'),
  CYGNET_S3_REGION: setting(text.default('us-east-1'), 'S3 region'),
  CYGNET_S3_ACCESS_KEY_ID: setting(text.optional(), 'S3 access key; absent means the AWS default chain (role, profile, environment)'),
  CYGNET_S3_SECRET_ACCESS_KEY: setting(text.optional(), 'S3 secret key', true),
  CYGNET_S3_SDK_CHECKSUMS: setting(
    z.enum(['WHEN_SUPPORTED', 'WHEN_REQUIRED']).default('WHEN_SUPPORTED'),
    "the SDK's default checksums; WHEN_REQUIRED for stores that refuse streamed trailers (Ceph before 18, the embedded S3)",
  ),
  CYGNET_SQS_ENDPOINT: setting(z.url().optional(), 'SQS endpoint; absent means AWS itself'),
  CYGNET_SQS_REGION: setting(text.default('us-east-1'), 'SQS region'),
  CYGNET_SQS_ACCESS_KEY_ID: setting(text.optional(), 'SQS access key; absent means the AWS default chain'),
  CYGNET_SQS_SECRET_ACCESS_KEY: setting(text.optional(), 'SQS secret key', true),
  CYGNET_QUEUE_PREFIX: setting(z.string().default(''), 'put before every queue name, so that several installations share one account'),
  CYGNET_RAW_BUCKETS: setting(list.default(['cygno-data']), 'buckets whose runs are catalogued, separated by commas'),
  CYGNET_IGNORED_PREFIXES: setting(
    list.default(['EVENTS/', 'TMP/', 'BCK/']),
    'key prefixes that never hold runs; everything else named run*.mid* is catalogued',
  ),
  CYGNET_TIME_ZONE: setting(text.default('Europe/Rome'), 'time zone of the DAQ, in which the legacy Runlog shows its times'),
  CYGNET_LEASE_SECONDS: setting(whole.default(120), 'how long a function holds an arrival without renewing; then another may take it'),
  CYGNET_MAX_EVENT_BYTES: setting(whole.default(256 * 1024 * 1024), 'largest MIDAS event accepted, bytes'),
  CYGNET_IGZIP: setting(
    z.enum(['auto', 'never']).default('never'),
    "auto: decompress gzip with the igzip program where it is installed; slower than Node's own where the pipe costs more than it saves (docs/benchmarks.md)",
  ),
  CYGNET_RECO_MINIMUM_EVENTS: setting(whole.default(10), 'reconstruction is asked for runs with more trigger events than this'),
  CYGNET_NOTIFICATION_TOKEN: setting(text.optional(), 'bearer token that stores must send to receive-notification', true),
  CYGNET_NOTIFICATION_BODY_BYTES: setting(whole.default(1024 * 1024), 'largest notification accepted, bytes'),
  CYGNET_FOLDER: setting(text.optional(), 'folder of the local stack (data, logs, addresses); absent means .cygnet in the project'),
  CYGNET_LOG_LEVEL: setting(z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'), 'least severe log line written'),
} as const

const schema = z.object(variables)
export type Config = Readonly<z.infer<typeof schema>>
export type Environment = Readonly<Record<string, string | undefined>>

/** The process's own environment, for what lays settings of its own under it (the CLI: those of the running local stack). */
export const processEnvironment = (): Environment => process.env

/** Fills in NAME_FILE variables: the value is the file's text without the trailing line break. */
function withFiles(environment: Environment): Environment {
  const filled: Record<string, string | undefined> = { ...environment }
  for (const name of Object.keys(variables)) {
    const path = environment[`${name}_FILE`]
    if (path === undefined || filled[name] !== undefined) continue
    try {
      filled[name] = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    } catch (cause) {
      throw new InvalidInputError(`${name}_FILE: cannot read ${path}`, {}, { cause })
    }
  }
  for (const name of Object.keys(variables)) if (filled[name] === '') delete filled[name]
  return filled
}

/**
 * Reads and checks the settings.
 * @throws InvalidInputError naming every variable that is wrong (never its value: it may be a secret).
 */
export function loadConfig(environment: Environment = processEnvironment()): Config {
  const result = schema.safeParse(withFiles(environment))
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new InvalidInputError(`configuration: ${problems.join('; ')}`)
}

/** The settings as they may be shown: secrets replaced by stars, the password cut from the database address. */
export function redactedConfig(config: Config): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(config)) {
    const secret = variables[name as keyof typeof variables].meta()?.secret === true
    if (name === 'CYGNET_DATABASE_URL') shown[name] = String(value).replace(/\/\/([^:/@]*):[^@]*@/, '//$1:***@')
    else shown[name] = secret && value !== undefined ? '***' : value
  }
  return shown
}
