/** Object keys in notifications: form-encoded (AWS, MinIO) or plain (Ceph, EventBridge). */
import { InvalidInputError } from '../errors.ts'

/** The limit of S3. A longer key is invalid, and would not fit into the table of arrivals. */
const MAX_KEY_BYTES = 1024

/**
 * Decodes a form-encoded key: `+` is a blank, `%XX` a byte of UTF-8. Unencoded characters are kept (AWS does
 * not encode `/`, MinIO writes `%2F`).
 * @throws InvalidInputError for an invalid escape, or escapes that are not UTF-8.
 */
export function decodeFormKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '))
  } catch (cause) {
    throw new InvalidInputError('the object key has a malformed % escape', {}, { cause })
  }
}

/** Encodes a key as AWS does: a blank as `+`, `/` unchanged, all but the unreserved characters as `%XX`. */
export function encodeFormKey(key: string): string {
  return encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/')
}

/**
 * Validates a decoded key.
 * @throws InvalidInputError when it is empty, longer than 1024 bytes of UTF-8, or not valid Unicode.
 */
export function checkKey(key: string): string {
  if (key === '') throw new InvalidInputError('the object key is empty')
  if (!key.isWellFormed()) throw new InvalidInputError('the object key is not valid Unicode')
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    throw new InvalidInputError(`the object key is longer than ${MAX_KEY_BYTES} bytes`)
  return key
}
