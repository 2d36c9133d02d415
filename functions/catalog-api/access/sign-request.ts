/** Signs requests to the store with the service's own credentials (AWS Signature Version 4, in headers). */
import type { S3Client } from '@aws-sdk/client-s3'
import { SignatureV4 } from '@smithy/signature-v4'
import type { Config } from '../../../shared/config.ts'
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
  const region = config.CYGNET_S3_REGION
  const endpoint = config.CYGNET_S3_PUBLIC_ENDPOINT ?? config.CYGNET_S3_ENDPOINT ?? `https://s3.${region}.amazonaws.com`
  const { host, pathname } = new URL(endpoint)
  return { endpoint, region, host, basePath: pathname.replace(/\/+$/, '') }
}

/** Headers to be put on the request besides those that it has: authorization, date, payload hash, perhaps a session token. */
export type SignRequest = (request: RequestToSign, at: Date) => Promise<Readonly<Record<string, string>>>

/** A payload whose hash is not stated is not signed: the bytes are guarded by Content-MD5, which is. */
const PAYLOAD = 'x-amz-content-sha256'

export function createRequestSigner(s3: S3Client, address: StoreAddress): SignRequest {
  const { credentials, sha256 } = s3.config
  // S3 wants the path in the signature as it is sent, not escaped once more.
  const signer = new SignatureV4({ service: 's3', region: address.region, credentials, sha256, uriEscapePath: false })
  return async (request, at) => {
    const headers = { [PAYLOAD]: 'UNSIGNED-PAYLOAD', ...request.headers, host: address.host }
    const toSign = { ...request, query: { ...request.query }, headers, protocol: 'https:', hostname: address.host }
    const signed = await signer.sign(toSign, { signingDate: at })
    return Object.fromEntries(Object.entries(signed.headers).filter(([name]) => !(name in request.headers) && name !== 'host'))
  }
}
