/** The tape endpoint and its tokens. */
import * as z from 'zod'
import { positive, setting, text } from './setting.ts'

export const tape = {
  driver: setting(
    'CYGNET_TAPE_DRIVER',
    z.enum(['none', 'directory', 'webdav', 'fts', 'rucio']).default('none'),
    'driver of copies to tape; none: requests are kept and wait',
  ),
  directory: setting(
    'CYGNET_TAPE_DIRECTORY',
    text.optional(),
    'directory: an existing folder (LTFS, NFS) that receives the copies',
  ),
  url: setting(
    'CYGNET_TAPE_URL',
    z.url({ protocol: /^(davs?|https?)$/ }).optional(),
    'webdav, fts, rucio: root of the tape endpoint, e.g. davs://tape.example.org:8443/cygno/; optional for rucio, which uses it only to verify and read',
  ),
  caFile: setting(
    'CYGNET_TAPE_CA_FILE',
    text.optional(),
    "PEM file with the certificate authorities of the tape endpoint, in addition to Node's own",
  ),
  thirdParty: setting(
    'CYGNET_TAPE_THIRD_PARTY',
    z.enum(['auto', 'never']).default('auto'),
    'webdav: auto: the endpoint fetches from the store itself where it can; never: all copies are streamed through the function',
  ),
  rest: setting(
    'CYGNET_TAPE_REST',
    z.enum(['auto', 'always', 'never']).default('auto'),
    'webdav, fts, rucio: auto: a WLCG Tape REST API, where the endpoint has one, determines what is on media; always: it has one; never: it has none, and is itself the medium',
  ),
  copiesAtOnce: setting(
    'CYGNET_TAPE_COPIES_AT_ONCE',
    positive.default(4),
    'most copies in progress, over all functions; for fts and rucio some hundreds',
  ),
  copySeconds: setting(
    'CYGNET_TAPE_COPY_SECONDS',
    positive.default(800),
    'longest time one copy may take, below the time limit of the function',
  ),
  lateHours: setting(
    'CYGNET_TAPE_LATE_HOURS',
    positive.default(24),
    'an alert is raised for a run that is not verified on tape after this many hours',
  ),
  token: setting(
    'CYGNET_TAPE_TOKEN',
    text.optional(),
    'a fixed bearer token for the tape endpoint, FTS or Rucio',
    true,
  ),
  tokenUrl: setting(
    'CYGNET_TAPE_TOKEN_URL',
    z.url().optional(),
    'token endpoint of the IAM that issues bearer tokens (OAuth2)',
  ),
  clientId: setting('CYGNET_TAPE_CLIENT_ID', text.optional(), 'OAuth2 client id'),
  clientSecret: setting('CYGNET_TAPE_CLIENT_SECRET', text.optional(), 'OAuth2 client secret', true),
  refreshToken: setting(
    'CYGNET_TAPE_REFRESH_TOKEN',
    text.optional(),
    'OAuth2 refresh token; absent: the client-credentials grant',
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
    'file (mode 0600) that keeps the tokens between processes; absent: only in memory',
  ),
} as const
