/**
 * Claims that only this service can read and make, with an end: encrypted JWTs (RFC 7516, `dir` with A256GCM)
 * for cookies.
 */
import { hkdfSync } from 'node:crypto'
import { EncryptJWT, errors, type JWTPayload, jwtDecrypt } from 'jose'

export interface Seal {
  seal(claims: JWTPayload, seconds: number): Promise<string>
  /** Null for what is not (or no longer) good, whatever is wrong with it. */
  open(sealed: string): Promise<JWTPayload | null>
}

/** A key for one purpose (RFC 5869): what is sealed for one is not opened for another. */
export const keyFor = (secret: string, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, '', `cygnet ${purpose}`, 32))

export function createSeal(secret: string, purpose: string, now: () => Date): Seal {
  const key = keyFor(secret, purpose)
  return {
    seal: (claims, seconds) =>
      new EncryptJWT(claims)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .setIssuedAt(now())
        .setExpirationTime(new Date(now().getTime() + seconds * 1000))
        .encrypt(key),
    async open(sealed) {
      try {
        const options = {
          currentDate: now(),
          requiredClaims: ['exp'],
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        }
        return (await jwtDecrypt(sealed, key, options)).payload
      } catch (error) {
        if (error instanceof errors.JOSEError) return null
        throw error
      }
    },
  }
}
