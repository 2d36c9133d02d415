/**
 * What the development services see of the environment. Settings of Cygnet are read in
 * shared/config/config.ts alone; here we only choose what a child process inherits, so that a stray MYSQL_*
 * or AWS_* of the user cannot change a service.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'

export type ChildEnvironment = Readonly<Record<string, string>>

const INHERITED = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'NODE_COMPILE_CACHE',
  'http_proxy',
  'https_proxy',
  'no_proxy',
]
const INHERITED_BY_BUILDS = [
  'GOPROXY',
  'GOSUMDB',
  'GOPATH',
  'GOMODCACHE',
  'GOCACHE',
  'GOFLAGS',
  'GOTOOLCHAIN',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
]

/**
 * The few variables a service needs, plus `more`. Secrets may go here: other users cannot read it, unlike
 * arguments.
 */
export function childEnvironment(
  more: ChildEnvironment = {},
  inherited: readonly string[] = INHERITED,
): ChildEnvironment {
  const environment: Record<string, string> = {}
  for (const name of inherited) {
    const value = process.env[name]
    if (value !== undefined) environment[name] = value
  }
  return { ...environment, ...more }
}

/** The same for a compiler, which must find its module proxy and its caches. */
export function buildEnvironment(more: ChildEnvironment = {}): ChildEnvironment {
  return childEnvironment(more, [...INHERITED, ...INHERITED_BY_BUILDS])
}

/** The folders in which the shell would look for a program, as PATH gives them. */
export function searchPath(): string {
  return process.env.PATH ?? ''
}

/** Where `go install` puts programs: $GOBIN, else the bin folder of $GOPATH, else ~/go/bin. */
export function goBinFolder(): string {
  return process.env.GOBIN ?? join(process.env.GOPATH ?? join(homedir(), 'go'), 'bin')
}

/**
 * Things that take minutes to build are kept here, once per user: $XDG_CACHE_HOME/cygnet or ~/.cache/cygnet.
 */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cygnet')
}
