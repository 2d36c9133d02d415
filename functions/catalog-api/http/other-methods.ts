/** Which methods a path has, for who asks with another one (RFC 9110, section 15.5.6). */
import { TrieRouter } from 'hono/router/trie-router'
import type { RouteRule } from './route.ts'

/** Reads the rules when it is first asked: all routes must have been added by then. */
export function createMethodsOf(rules: readonly RouteRule[]): (path: string) => readonly string[] {
  let routes: TrieRouter<string> | null = null
  return (path) => {
    if (routes === null) {
      routes = new TrieRouter<string>()
      for (const rule of rules) routes.add('ALL', rule.path, rule.method)
    }
    const methods = new Set(routes.match('ALL', path)[0].map(([method]) => method))
    if (methods.has('GET')) methods.add('HEAD')
    return methods.size === 0 ? [] : [...methods, 'OPTIONS'].toSorted()
  }
}
