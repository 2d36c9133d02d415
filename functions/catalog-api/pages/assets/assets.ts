/**
 * Style sheets, scripts and pictures, at addresses that contain a hash of their contents, so that browsers can cache
 * them permanently.
 */
import { createHash } from 'node:crypto'
import { refusal } from '../../http/problem.ts'
import { type Api, addPage } from '../../http/route.ts'
import { FILES } from './files.ts'

const HASH_CHARACTERS = 12
const hash = createHash('sha256').update(JSON.stringify(FILES)).digest('hex').slice(0, HASH_CHARACTERS)

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/** @param name one of FILES. */
export const assetUrl = (name: string): string => `/assets/${hash}/${name}`

export function registerAssets(api: Api): void {
  addPage(api, 'GET', '/assets/:hash/:name', { open: true }, (c) => {
    const { hash: asked, name } = c.req.param() as { readonly hash: string; readonly name: string }
    const text = Object.hasOwn(FILES, name) ? FILES[name] : undefined
    if (text === undefined) throw refusal(404, 'there is no file of this name')
    // An old address is answered with the current file, which must not be cached under that address.
    const keep = asked === hash ? 'public, max-age=31536000, immutable' : 'no-store'
    return c.body(text, 200, {
      'content-type': TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'text/plain',
      'cache-control': keep,
      'x-content-type-options': 'nosniff',
    })
  })
}
