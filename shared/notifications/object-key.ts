/** Object keys as notifications write them: form-encoded (AWS, MinIO) or as they are (Ceph, EventBridge). */
import { InvalidInputError } from '../errors.ts'

/** S3's own limit. A longer key cannot be one, and would not fit the ledger. */
const MAX_KEY_BYTES = 1024

/**
 * Decodes a form-encoded key: `+` is a blank, `%XX` a byte of UTF-8. What is not encoded passes as it is (AWS
 * leaves `/` alone, MinIO writes `%2F`).
 * @throws InvalidInputError for a `%` that starts no escape, or escapes that are not UTF-8.
 */
export function decodeFormKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '))
  } catch (cause) {
    throw new InvalidInputError('the object key has a malformed % escape', {}, { cause })
  }
}

/**
 * Encodes a key as AWS does: a blank as `+`, `/` as it is, everything else outside the unreserved letters as
 * `%XX`.
 */
export function encodeFormKey(key: string): string {
  return encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/')
}

/**
 * Checks a decoded key.
 * @throws InvalidInputError when it is empty, longer than 1024 bytes of UTF-8, or no valid Unicode.
 */
export function checkKey(key: string): string {
  if (key === '') throw new InvalidInputError('the object key is empty')
  if (!key.isWellFormed()) throw new InvalidInputError('the object key is not valid Unicode')
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    throw new InvalidInputError(`the object key is longer than ${MAX_KEY_BYTES} bytes`)
  return key
}
