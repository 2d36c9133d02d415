/** Signs requests to the store with the service's own credentials (AWS Signature Version 4, in headers). */
import type { S3Client } from '@aws-sdk/client-s3'
import { SignatureV4 } from '@smithy/signature-v4'
import type { Config } from '../../../shared/config/config.ts'
import type { RequestToSign } from './allowed-request.ts'

export interface StoreAddress {
  /** Where clients reach the store; they write the bucket into the path. */
  readonly endpoint: string
  readonly region: string
  readonly host: string
  /** Of the endpoint, without a slash at its end. */
  readonly basePath: string
}

export function storeAddress(config: Config): StoreAddress {
  const region = config.store.region
  const endpoint =
    config.store.publicEndpoint ?? config.store.endpoint ?? `https://s3.${region}.amazonaws.com`
  const { host, pathname } = new URL(endpoint)
  return { endpoint, region, host, basePath: pathname.replace(/\/+$/, '') }
}

/**
 * Headers to be put on the request besides those that it has: authorization, date, payload hash, perhaps a
 * session token.
 */
export type SignRequest = (request: RequestToSign, at: Date) => Promise<Readonly<Record<string, string>>>

/**
 * Headers that the holder of a signature could add to a PUT, because some stores do not ask that all x-amz-*
 * headers are signed (AWS does): they would make it another request. Signed with a value that has no effect,
 * none of them can be given another.
 * - x-amz-copy-source (MinIO, Ceph) copies any object over any other, without regard to If-None-Match; on
 *   condition of an ETag that no object has, it copies nothing. Ceph has a name of its own for that
 *   condition.
 * - x-amz-meta-snowball-auto-extract (MinIO) unpacks the body, an archive, to keys of any tag. With `false`
 *   it is metadata.
 */
const PINNED: Readonly<Record<string, string>> = {
  'x-amz-copy-source-if-match': '"none"',
  'x-amz-copy-if-match': '"none"',
  'x-amz-meta-snowball-auto-extract': 'false',
}

/** A payload whose hash is not stated is not signed: the bytes are guarded by Content-MD5, which is. */
const PAYLOAD = 'x-amz-content-sha256'

export function createRequestSigner(s3: S3Client, address: StoreAddress): SignRequest {
  const { credentials, sha256 } = s3.config
  // S3 wants the path in the signature as it is sent, not escaped once more.
  const signer = new SignatureV4({
    service: 's3',
    region: address.region,
    credentials,
    sha256,
    uriEscapePath: false,
  })
  return async (request, at) => {
    const pinned = request.method === 'PUT' && s3.config.isCustomEndpoint === true ? PINNED : {}
    const headers = { [PAYLOAD]: 'UNSIGNED-PAYLOAD', ...request.headers, ...pinned, host: address.host }
    const toSign = {
      ...request,
      query: { ...request.query },
      headers,
      protocol: 'https:',
      hostname: address.host,
    }
    const signed = await signer.sign(toSign, { signingDate: at })
    return Object.fromEntries(
      Object.entries(signed.headers).filter(([name]) => !(name in request.headers) && name !== 'host'),
    )
  }
}
