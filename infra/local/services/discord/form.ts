/** The body of a request: JSON, or a form with files. */
import type { IncomingMessage } from 'node:http'
import { type Answer, invalidForm, problem, TOO_LARGE } from './answers.ts'
import { checkBody, type MessageBody } from './body.ts'
import type { Upload } from './messages.ts'

/** https://docs.discord.com/developers/resources/message#create-message-limitations */
const LARGEST_REQUEST_BYTES = 25 * 1024 * 1024
/** https://docs.discord.com/developers/reference#uploading-files */
const LARGEST_FILE_BYTES = 20 * 1024 * 1024

/** Null: it is too large. It is read to its end in any case, so that the answer can be read. */
export async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes <= LARGEST_REQUEST_BYTES) chunks.push(chunk)
  }
  return sizeBytes > LARGEST_REQUEST_BYTES ? null : Buffer.concat(chunks)
}

/** JSON, or a form with `payload_json` and `files[0]` … */
export async function readForm(
  { headers }: IncomingMessage,
  body: Buffer | null,
): Promise<{ readonly body: MessageBody; readonly files: readonly Upload[] } | Answer> {
  if (body === null) return TOO_LARGE
  const contentType = headers['content-type'] ?? ''
  const files: Upload[] = []
  let text = body.toString('utf8')
  if (contentType.startsWith('multipart/form-data')) {
    const form = await new Response(body, { headers: { 'content-type': contentType } }).formData()
    text = String(form.get('payload_json') ?? '{}')
    for (const [name, value] of form) {
      if (name === 'payload_json') continue
      if (!/^files\[\d+\]$/.test(name) || typeof value === 'string')
        return invalidForm({ [name]: { _errors: [{ code: 'BASE_TYPE_BAD_TYPE', message: 'Not a file.' }] } })
      if (value.size > LARGEST_FILE_BYTES) return TOO_LARGE
      const bytes = new Uint8Array(await value.arrayBuffer())
      files.push({ filename: value.name, contentType: value.type, bytes })
    }
  } else if (!contentType.startsWith('application/json')) return invalidForm({})
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return problem(400, 50_109, 'The request body contains invalid JSON.')
  }
  const checked = checkBody(value)
  return 'errors' in checked ? invalidForm(checked.errors) : { body: checked.body, files }
}
