/**
 * The object named by a path, and the file of a machine named by a body. The key may contain slashes or %2F,
 * which some gateways decode.
 */
import * as z from 'zod'
import { MACHINE, machineOf, type TokenOfCaller } from '../../../shared/access/tokens.ts'
import type { Context } from '../../../shared/context.ts'
import { type ObjectName, parseRunKey } from '../../../shared/run.ts'
import { isWellFormed } from '../../../shared/text.ts'
import { addRequests } from '../../../shared/work/outbox.ts'
import { alert } from '../../../shared/work/raise-alert.ts'
import { sendRequests } from '../../../shared/work/send-requests.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext, Rule } from '../http/route.ts'
import { describeValidationError, NOT_WELL_FORMED } from '../http/validation-errors.ts'

/** In hono's notation. */
export const FILE_PATH = '/api/v1/files/:bucket/:key{.+}'

/** In the notation of the OpenAPI document. */
export const fileParams = z.object({
  bucket: z.string().openapi({ description: 'Bucket of the store', example: 'cygno-data' }),
  key: z.string().openapi({ description: 'Key, with its slashes', example: 'LNGS/run12345.mid.gz' }),
})

/** A machine that has files of runs. */
export const machine = z
  .string()
  .regex(MACHINE, 'not a machine name')
  .openapi({ description: 'Name of the machine', example: 'daq01' })

/** What a machine reports about a file on its disk. */
export const fileOnDisk = z.strictObject({
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in lower-case hexadecimal')
    .openapi({ description: 'SHA-256 of the file, just computed' }),
  sizeBytes: z.int().min(0),
  host: machine,
  path: z
    .string()
    .max(1300)
    .regex(/^\//, 'expected an absolute path')
    .refine(isWellFormed, NOT_WELL_FORMED)
    .openapi({ description: 'Absolute', example: '/data/run12345.mid.gz' }),
})

/** For callers that may send files of the tag. */
export const PUSHERS: Rule = { right: 'push', tagOf }

/** @throws a 404 problem for a key that is not of a run. */
export function runFileOf(c: ApiContext): ObjectName {
  const object = objectOf(c)
  if (parseRunKey(object.key) === null) throw refusal(404, `"${object.key}" is not the key of a run`)
  return object
}

/**
 * A machine alone knows what is on its disk. @throws a 403 problem unless the caller's token speaks for it;
 * operators are alerted, since the DAQ may go on for days with a token of another machine.
 */
export async function requireMachine(
  context: Context<'database' | 'queues'>,
  c: ApiContext,
  host: string,
): Promise<void> {
  const { token } = c.get('caller')
  if (token === undefined) throw refusal(403, 'the files of a machine are reported with an API token of it')
  const machine = await machineOf(context.database, token, host)
  if (machine === host) return
  await alertOtherMachine(context, token, machine, host)
  throw refusal(
    403,
    `the token "${token.name}" speaks for the machine ${machine}, not for ${host}: that one needs a token made with --machine ${host}`,
  )
}

const SEND_MS = 5_000

/** Counted once a day for each token. */
async function alertOtherMachine(
  context: Context<'database' | 'queues'>,
  { id, name, scopes }: TokenOfCaller,
  machine: string,
  host: string,
): Promise<void> {
  const at = context.now()
  const rights = scopes.map((scope) => (scope.endsWith('*') ? `'${scope}'` : scope)).join(' ')
  const wrongToken = alert({
    rule: 'token-of-other-machine',
    severity: 'error',
    subject: `token ${id}`,
    summary: `${host} reports files with the token "${name}" (${id}) of the machine ${machine}: they are not recorded, and none is deleted there. Make a token for it: cygnet token create --name ${name} --machine ${host} --scope ${rights}`,
    facts: { token: name, machineOfToken: machine, reportedBy: host },
    cause: `${id}:${at.toISOString().slice(0, 10)}`,
  })
  await addRequests(context.database, [wrongToken], at)
  await sendRequests(context, [wrongToken], AbortSignal.timeout(SEND_MS))
}

const objectOf = (c: ApiContext): ObjectName => ({
  bucket: c.req.param('bucket') ?? '',
  key: c.req.param('key') ?? '',
})

/**
 * All before the file name, also of a key that is not of a run: callers without rights for the tag do not
 * learn whether it is.
 */
function tagOf(c: ApiContext): string {
  return objectOf(c).key.replace(/\/?[^/]*$/, '')
}

/** The validated body. @throws a 400 problem. */
export async function bodyOf<T>(c: ApiContext, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await c.req.json().catch(() => undefined))
  if (!parsed.success) throw refusal(400, describeValidationError(parsed.error))
  return parsed.data
}
