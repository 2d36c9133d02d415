/**
 * The settings of every process, read from the environment in this one module and nowhere else.
 *
 * Any variable may be given as NAME_FILE instead, the path of a file that holds the value: that is how
 * OpenFaaS, Knative and Docker hand over secrets. docs/configuration.md is generated from the descriptions
 * below.
 */
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { InvalidInputError } from '../errors.ts'

const text = z.string().trim().min(1)
const list = text.transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
)
/** A slip must not switch off what the list is for. */
const fullList = list.refine((items) => items.length > 0, 'names nothing')
/** Digits only: what else JavaScript takes for a number (blanks are 0, 1e3) is a slip. */
const digits = z.string().trim().regex(/^\d+$/, 'expected a whole number').transform(Number)
const whole = digits.pipe(z.number().max(Number.MAX_SAFE_INTEGER))
const positive = digits.pipe(z.number().min(1).max(Number.MAX_SAFE_INTEGER))
const share = z
  .string()
  .trim()
  .regex(/^[01]([.]\d+)?$/, 'expected a share like 0.85')
  .transform(Number)
  .pipe(z.number().gt(0).lte(1))
/** `LNGS=7200,LNF=3600` */
const wholeByName = z.string().transform((value, context): Readonly<Record<string, number>> => {
  const pairs = value.split(',').filter((pair) => pair.trim() !== '')
  const entries = pairs.map((pair) => pair.split('=').map((part) => part.trim()))
  if (
    entries.some(
      ([name = '', number = '', ...more]) => name === '' || !/^\d+$/.test(number) || more.length > 0,
    )
  )
    context.addIssue({ code: 'custom', message: 'expected NAME=NUMBER, separated by commas' })
  return Object.fromEntries(entries.map(([name = '', number]) => [name, Number(number)]))
})
const setting = <T extends z.ZodType>(schema: T, description: string, secret = false) =>
  schema.meta({ description, secret })

/** Variable by variable; the order is the order of the documentation. */
export const variables = {
  CYGNET_DATABASE_URL: setting(
    z.url({ protocol: /^(mysql|mariadb)$/ }),
    'MariaDB of the catalogue: mysql://user:password@host:port/database',
    true,
  ),
  CYGNET_DATABASE_CONNECTIONS: setting(
    positive.default(8),
    'connections one process opens to the catalogue, at most',
  ),
  CYGNET_S3_ENDPOINT: setting(z.url().optional(), 'S3 endpoint; absent means AWS itself'),
  CYGNET_S3_REGION: setting(text.default('us-east-1'), 'S3 region'),
  CYGNET_S3_ACCESS_KEY_ID: setting(
    text.optional(),
    'S3 access key; absent means the AWS default chain (role, profile, environment)',
  ),
  CYGNET_S3_SECRET_ACCESS_KEY: setting(text.optional(), 'S3 secret key', true),
  CYGNET_S3_SDK_CHECKSUMS: setting(
    z.enum(['WHEN_SUPPORTED', 'WHEN_REQUIRED']).default('WHEN_SUPPORTED'),
    "the SDK's default checksums; WHEN_REQUIRED for stores that refuse streamed trailers (Ceph before 18, the embedded S3)",
  ),
  CYGNET_S3_PUBLIC_ENDPOINT: setting(
    z.url().optional(),
    'S3 endpoint as others reach it, put into links; absent means that of CYGNET_S3_ENDPOINT',
  ),
  CYGNET_SQS_ENDPOINT: setting(z.url().optional(), 'SQS endpoint; absent means AWS itself'),
  CYGNET_SQS_REGION: setting(text.default('us-east-1'), 'SQS region'),
  CYGNET_SQS_ACCESS_KEY_ID: setting(text.optional(), 'SQS access key; absent means the AWS default chain'),
  CYGNET_SQS_SECRET_ACCESS_KEY: setting(text.optional(), 'SQS secret key', true),
  CYGNET_QUEUE_PREFIX: setting(
    z.string().default(''),
    'put before every queue name, so that several installations share one account',
  ),
  CYGNET_RAW_BUCKETS: setting(
    fullList.default(['cygno-data']),
    'buckets whose runs are catalogued, separated by commas',
  ),
  CYGNET_IGNORED_PREFIXES: setting(
    list.default(['EVENTS/', 'TMP/', 'BCK/']),
    'key prefixes that never hold runs; everything else named run*.mid* is catalogued',
  ),
  CYGNET_LEASE_SECONDS: setting(
    positive.default(120),
    'how long a function holds an arrival without renewing; then another may take it',
  ),
  CYGNET_MAX_EVENT_BYTES: setting(positive.default(256 * 1024 * 1024), 'largest MIDAS event accepted, bytes'),
  CYGNET_IGZIP: setting(
    z.enum(['auto', 'never']).default('never'),
    "auto: decompress gzip with the igzip program where it is installed; slower than Node's own where the pipe costs more than it saves (docs/benchmarks.md)",
  ),
  CYGNET_RECO_MINIMUM_EVENTS: setting(
    whole.default(10),
    'reconstruction is asked for runs with more trigger events than this',
  ),
  CYGNET_NOTIFICATION_TOKEN: setting(
    text.optional(),
    'bearer token that stores must send to receive-notification',
    true,
  ),
  CYGNET_NOTIFICATION_BODY_BYTES: setting(
    positive.default(1024 * 1024),
    'largest notification accepted, bytes',
  ),
  CYGNET_TAPE_DRIVER: setting(
    z.enum(['none', 'directory', 'webdav', 'fts', 'rucio']).default('none'),
    'how second copies are made; none: requests are kept and wait',
  ),
  CYGNET_TAPE_DIRECTORY: setting(
    text.optional(),
    'directory: an existing folder (LTFS, NFS) that receives the copies',
  ),
  CYGNET_TAPE_URL: setting(
    z.url({ protocol: /^(davs?|https?)$/ }).optional(),
    'webdav, fts, rucio: root of the tape endpoint, e.g. davs://tape.example.org:8443/cygno/; for rucio optional, then it is only used to verify and read',
  ),
  CYGNET_TAPE_CA_FILE: setting(
    text.optional(),
    "PEM file with the certificate authorities of the tape endpoint, besides Node's own",
  ),
  CYGNET_TAPE_THIRD_PARTY: setting(
    z.enum(['auto', 'never']).default('auto'),
    'webdav: auto lets the endpoint fetch from the store by itself where it can; never streams through the function',
  ),
  CYGNET_TAPE_REST: setting(
    z.enum(['auto', 'never']).default('auto'),
    'webdav, fts: auto asks whether the endpoint has a WLCG Tape REST API, which then says what is on media',
  ),
  CYGNET_TAPE_COPIES_AT_ONCE: setting(
    positive.default(4),
    'copies under way at once, all functions together; for fts and rucio rather some hundreds',
  ),
  CYGNET_TAPE_COPY_SECONDS: setting(
    positive.default(800),
    'longest time one copy may take, below the time limit of the function',
  ),
  CYGNET_TAPE_LATE_HOURS: setting(
    positive.default(24),
    'a run that is not verified on tape after so many hours is told to people',
  ),
  CYGNET_TAPE_TOKEN: setting(
    text.optional(),
    'a bearer token for the tape endpoint, FTS or Rucio, where none is fetched',
    true,
  ),
  CYGNET_TAPE_TOKEN_URL: setting(
    z.url().optional(),
    'token endpoint of the IAM that gives bearer tokens (OAuth2)',
  ),
  CYGNET_TAPE_CLIENT_ID: setting(text.optional(), 'OAuth2 client id'),
  CYGNET_TAPE_CLIENT_SECRET: setting(text.optional(), 'OAuth2 client secret', true),
  CYGNET_TAPE_REFRESH_TOKEN: setting(
    text.optional(),
    'OAuth2 refresh token; absent means the client-credentials grant',
    true,
  ),
  CYGNET_TAPE_SCOPE: setting(
    text.optional(),
    'OAuth2 scopes, separated by blanks, e.g. "storage.read:/ storage.modify:/ storage.stage:/"',
  ),
  CYGNET_TAPE_AUDIENCE: setting(text.optional(), 'OAuth2 audience'),
  CYGNET_TAPE_TOKEN_CACHE: setting(
    text.optional(),
    'file (mode 0600) that keeps the tokens between processes; absent means memory only',
  ),
  CYGNET_FTS_URL: setting(
    z.url().optional(),
    'fts: the FTS3 REST service, e.g. https://fts.example.org:8446',
  ),
  CYGNET_FTS_VO: setting(text.default('cygno'), 'fts: the virtual organisation that job ids are made from'),
  CYGNET_FTS_ARCHIVE_SECONDS: setting(
    positive.default(86_400),
    'fts: how long a job waits for the file to be on media',
  ),
  CYGNET_RUCIO_URL: setting(z.url().optional(), 'rucio: the Rucio server'),
  CYGNET_RUCIO_ACCOUNT: setting(text.optional(), 'rucio: the account that owns the rules'),
  CYGNET_RUCIO_SOURCE_RSE: setting(
    text.optional(),
    'rucio: the RSE that is our store, where replicas are registered',
  ),
  CYGNET_RUCIO_TAPE_RSE: setting(text.optional(), 'rucio: the RSE of the tape'),
  CYGNET_RUCIO_SOURCE_PREFIX: setting(
    text.optional(),
    'rucio: address of our store as the source RSE knows it, put before <bucket>/<key>; absent for a deterministic RSE',
  ),
  CYGNET_RECALL_DAYS: setting(
    positive.default(7),
    'how long a run that was brought back from tape stays; then it leaves again, also without a policy of the cleaner, a day after it came at the earliest',
  ),
  CYGNET_RECALL_HOURS: setting(positive.default(48), 'a recall that takes longer has failed'),
  CYGNET_LINK_SECONDS: setting(positive.default(3600), 'longest validity of a link to an object'),
  CYGNET_PROTECTED_PREFIXES: setting(
    fullList.default(['LAB/', 'RECO/', 'BCK/', 'pkl/']),
    'key prefixes under which nothing is ever deleted, whatever else is configured',
  ),
  CYGNET_CLEAN_RUNS_AFTER_DAYS: setting(
    whole.optional(),
    'runs with a verified tape copy leave the store after so many days, one at the least; absent means that age alone deletes nothing',
  ),
  CYGNET_CLOUD_CAPACITY_BYTES: setting(
    positive.optional(),
    'room for runs in the store; absent means that fullness deletes nothing, and that nobody is told when it is full',
  ),
  CYGNET_CLOUD_HIGH_WATER: setting(
    share.default(0.85),
    'share of the capacity above which the oldest runs with a verified tape copy leave early; none that came within the last day',
  ),
  CYGNET_CLOUD_LOW_WATER: setting(share.default(0.75), 'share of the capacity at which that stops'),
  CYGNET_CLEAN_MOST_RUNS: setting(
    positive.default(100),
    'one run of the cleaner deletes at most so many files of runs, and says so when it stops there',
  ),
  CYGNET_EVENTS_SEEN_SECONDS: setting(
    whole.default(600),
    'single events leave the buffer so long after they were seen',
  ),
  CYGNET_EVENTS_UNSEEN_SECONDS: setting(
    whole.default(3600),
    'single events that nobody looked at leave the buffer at this age',
  ),
  CYGNET_EVENTS_UNSEEN_SECONDS_BY_TAG: setting(
    wholeByName.default({}),
    'the same for some tags, e.g. LNGS=7200,LNF=3600',
  ),
  CYGNET_SCRUB_DAYS: setting(positive.default(90), 'every copy is verified again at least so often'),
  CYGNET_SCRUB_BYTES: setting(positive.default(20_000_000_000), 'bytes one run of the scrub reads at most'),
  CYGNET_PUBLIC_URL: setting(
    z.url().optional(),
    'address of the catalogue as browsers reach it; needed for signing in',
  ),
  CYGNET_SESSION_SECRET: setting(
    text.min(32).optional(),
    'encrypts the cookies of signed-in browsers, at least 32 characters',
    true,
  ),
  CYGNET_OIDC_ISSUER: setting(
    z.url().optional(),
    'the IAM (OpenID Connect), e.g. https://iam.example.org/; absent means that nobody signs in',
  ),
  CYGNET_OIDC_CLIENT_ID: setting(text.optional(), 'our client at the IAM'),
  CYGNET_OIDC_CLIENT_SECRET: setting(text.optional(), 'its secret', true),
  CYGNET_OIDC_CLI_CLIENT_ID: setting(
    text.optional(),
    'the public client at the IAM for `cygnet login` (device flow)',
  ),
  CYGNET_OIDC_AUDIENCE: setting(text.default('cygnet'), 'audience that bearer tokens must name'),
  CYGNET_OIDC_GROUP_CLAIMS: setting(
    list.default(['wlcg.groups', 'groups']),
    'claims that hold the groups of a person',
  ),
  CYGNET_ROLES: setting(
    z.string().default(''),
    'what groups may do, separated by semicolons: GROUP=ROLE:TAG with role reader, shifter or operator and a tag or *, e.g. "/cygno=reader:*;/cygno/ops=operator:*"',
  ),
  CYGNET_ANONYMOUS_SCOPES: setting(
    list.default([]),
    'what everybody may without signing in, e.g. read:* (none when empty)',
  ),
  CYGNET_REQUESTS_PER_MINUTE: setting(
    whole.default(600),
    'requests one caller may send to the API in a minute; who has not signed in, from one address',
  ),
  CYGNET_TRUSTED_PROXIES: setting(
    whole.default(0),
    'proxies before the API that each add to X-Forwarded-For from where they were asked; 0: only the address of the connection is believed',
  ),
  CYGNET_LEGACY_TABLES: setting(
    list.default(['Runlog']),
    'tables that the endpoint of the old tools shows (cygno_sql_query.php?db=...)',
  ),
  CYGNET_LEGACY_SITES: setting(
    z.string().default('lnf=LNF,LNF=LNF,man=MAN,MAN=MAN,=LNGS'),
    'the tag of each site of the old tools; the empty name is for any other',
  ),
  CYGNET_API_URL: setting(
    z.url().optional(),
    'for commands without the catalogue at hand (runs, get, link, recall, push): address of its API',
  ),
  CYGNET_API_TOKEN: setting(
    text.optional(),
    'who the commands are at that API: an API token; absent means the login of `cygnet login`',
    true,
  ),
  CYGNET_FOLDER: setting(
    text.optional(),
    'folder of the local stack (data, logs, addresses); absent means .cygnet in the project',
  ),
  CYGNET_LOG_FOLDER: setting(
    text.optional(),
    'folder with the log files of the functions, shown on the pages of runs; absent where logs are elsewhere',
  ),
  CYGNET_LISTEN_PORT: setting(
    digits.pipe(z.number().min(1).max(65_535)).default(8080),
    'port on which a function in a container answers',
  ),
  CYGNET_LISTEN_ADDRESS: setting(
    text.optional(),
    'address on which it does; absent means all of the container',
  ),
  CYGNET_LOG_LEVEL: setting(
    z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    'least severe log line written',
  ),
} as const

const schema = z.object(variables)
export type Config = Readonly<z.infer<typeof schema>>
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The process's own environment, for what lays settings of its own under it (the CLI: those of the running
 * local stack).
 */
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
  for (const name of Object.keys(variables)) if (filled[name]?.trim() === '') delete filled[name]
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

/**
 * The settings as they may be shown: secrets replaced by stars, the password cut from the database address.
 */
export function redactedConfig(config: Config): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(config)) {
    const secret = variables[name as keyof typeof variables].meta()?.secret === true
    if (name === 'CYGNET_DATABASE_URL')
      shown[name] = String(value).replace(/\/\/([^:/@]*):[^@]*@/, '//$1:***@')
    else shown[name] = secret && value !== undefined ? '***' : value
  }
  return shown
}
