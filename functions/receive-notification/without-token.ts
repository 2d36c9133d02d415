/**
 * The body of a notification without the token of the store, for what is kept and shown. The token may be in
 * OpaqueData, and in layers around it: JSON in a string (SNS), base64 (CloudEvents), characters with escapes.
 */

const MASK = '***'
const BASE64 = /^[A-Za-z0-9+/]{16,}={0,2}$/

/** A body without a token is returned as it came. */
export function withoutToken(text: string, token: string): string {
  const plain = (part: string) => part.replaceAll(token, MASK).replaceAll(encodeURIComponent(token), MASK)
  const ofText = (part: string): string => {
    if (BASE64.test(part)) return ofBase64(part)
    const json = parsed(part)
    if (typeof json !== 'object' || json === null) return plain(part)
    const clean = ofValue(json)
    return plain(JSON.stringify(clean) === JSON.stringify(json) ? part : JSON.stringify(clean))
  }
  /** As Latin-1, in which any bytes are text and come back unchanged. */
  const ofBase64 = (part: string): string => {
    const content = Buffer.from(part, 'base64').toString('latin1')
    const clean = ofText(content)
    return plain(clean === content ? part : Buffer.from(clean, 'latin1').toString('base64'))
  }
  const ofValue = (value: unknown): unknown => {
    if (typeof value === 'string') return ofText(value)
    if (Array.isArray(value)) return value.map(ofValue)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [
        name,
        name === 'opaqueData' && typeof inner === 'string' && inner !== '' ? MASK : ofValue(inner),
      ]),
    )
  }
  try {
    return ofText(text)
  } catch {
    // Nested too deeply to be walked.
    return plain(text).replace(/("opaqueData"\s*:\s*)"(?:[^"\\]|\\.)+"/g, `$1"${MASK}"`)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
