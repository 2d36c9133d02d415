/**
 * The environment of the development services. Settings of Cygnet are read only in shared/config/config.ts; this
 * module only chooses the variables that a child process inherits, so that a MYSQL_* or AWS_* variable of the user
 * cannot change a service.
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
 * The few variables that a service needs, plus `more`. Secrets are allowed: other users cannot read the
 * environment, unlike the arguments.
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

/** The same for a compiler, with the settings of its module proxy and its caches. */
export function buildEnvironment(more: ChildEnvironment = {}): ChildEnvironment {
  return childEnvironment(more, [...INHERITED, ...INHERITED_BY_BUILDS])
}

/** PATH: the folders in which the shell searches programs. */
export function searchPath(): string {
  return process.env.PATH ?? ''
}

/** The folder of programs built by `go install`: $GOBIN, else the bin folder of $GOPATH, else ~/go/bin. */
export function goBinFolder(): string {
  return process.env.GOBIN ?? join(process.env.GOPATH ?? join(homedir(), 'go'), 'bin')
}

/**
 * The user's cache for programs that take minutes to build: $XDG_CACHE_HOME/cygnet or ~/.cache/cygnet.
 */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cygnet')
}
