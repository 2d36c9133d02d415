/** The tape endpoint and the tokens for it. */
import * as z from 'zod'
import { positive, setting, text } from './setting.ts'

export const tape = {
  driver: setting(
    'CYGNET_TAPE_DRIVER',
    z.enum(['none', 'directory', 'webdav', 'fts', 'rucio']).default('none'),
    'how second copies are made; none: requests are kept and wait',
  ),
  directory: setting(
    'CYGNET_TAPE_DIRECTORY',
    text.optional(),
    'directory: an existing folder (LTFS, NFS) that receives the copies',
  ),
  url: setting(
    'CYGNET_TAPE_URL',
    z.url({ protocol: /^(davs?|https?)$/ }).optional(),
    'webdav, fts, rucio: root of the tape endpoint, e.g. davs://tape.example.org:8443/cygno/; for rucio optional, then it is only used to verify and read',
  ),
  caFile: setting(
    'CYGNET_TAPE_CA_FILE',
    text.optional(),
    "PEM file with the certificate authorities of the tape endpoint, besides Node's own",
  ),
  thirdParty: setting(
    'CYGNET_TAPE_THIRD_PARTY',
    z.enum(['auto', 'never']).default('auto'),
    'webdav: auto lets the endpoint fetch from the store by itself where it can; never streams through the function',
  ),
  rest: setting(
    'CYGNET_TAPE_REST',
    z.enum(['auto', 'never']).default('auto'),
    'webdav, fts: auto asks whether the endpoint has a WLCG Tape REST API, which then says what is on media',
  ),
  copiesAtOnce: setting(
    'CYGNET_TAPE_COPIES_AT_ONCE',
    positive.default(4),
    'copies under way at once, all functions together; for fts and rucio rather some hundreds',
  ),
  copySeconds: setting(
    'CYGNET_TAPE_COPY_SECONDS',
    positive.default(800),
    'longest time one copy may take, below the time limit of the function',
  ),
  lateHours: setting(
    'CYGNET_TAPE_LATE_HOURS',
    positive.default(24),
    'a run that is not verified on tape after so many hours is told to people',
  ),
  token: setting(
    'CYGNET_TAPE_TOKEN',
    text.optional(),
    'a bearer token for the tape endpoint, FTS or Rucio, where none is fetched',
    true,
  ),
  tokenUrl: setting(
    'CYGNET_TAPE_TOKEN_URL',
    z.url().optional(),
    'token endpoint of the IAM that gives bearer tokens (OAuth2)',
  ),
  clientId: setting('CYGNET_TAPE_CLIENT_ID', text.optional(), 'OAuth2 client id'),
  clientSecret: setting('CYGNET_TAPE_CLIENT_SECRET', text.optional(), 'OAuth2 client secret', true),
  refreshToken: setting(
    'CYGNET_TAPE_REFRESH_TOKEN',
    text.optional(),
    'OAuth2 refresh token; absent means the client-credentials grant',
    true,
  ),
  scope: setting(
    'CYGNET_TAPE_SCOPE',
    text.optional(),
    'OAuth2 scopes, separated by blanks, e.g. "storage.read:/ storage.modify:/ storage.stage:/"',
  ),
  audience: setting('CYGNET_TAPE_AUDIENCE', text.optional(), 'OAuth2 audience'),
  tokenCache: setting(
    'CYGNET_TAPE_TOKEN_CACHE',
    text.optional(),
    'file (mode 0600) that keeps the tokens between processes; absent means memory only',
  ),
} as const
