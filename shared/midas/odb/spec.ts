/** Defines an ODB in code, for the simulator and for tests. */
import { TID } from '../tid.ts'
import type { OdbDirectory, OdbKey, OdbNode, OdbValue } from './tree.ts'

/** A key without its name, which is the property name in the directory. */
export type KeySpec = Omit<OdbKey, 'kind' | 'name'>
export interface OdbSpec {
  readonly [name: string]: KeySpec | OdbSpec
}

const key = (type: number, value: OdbValue, more: Partial<KeySpec> = {}): KeySpec => ({
  type,
  value,
  link: null,
  itemSize: null,
  ...more,
})

export const odb = {
  int: (value: number | readonly number[]) => key(TID.int32, value),
  word: (value: number | readonly number[]) => key(TID.uint16, value),
  dword: (value: number | readonly number[]) => key(TID.uint32, value),
  bool: (value: boolean) => key(TID.bool, value),
  float: (value: number | readonly number[]) => key(TID.float32, value),
  double: (value: number | readonly number[]) => key(TID.float64, value),
  /** `itemSize`: bytes reserved in the ODB. */
  string: (value: string | readonly string[], itemSize = 32) => key(TID.string, value, { itemSize }),
  /** A link to a key; MIDAS dumps its path. */
  link: (path: string) => key(TID.link, path, { link: path }),
  /** A link to one element of an array; MIDAS dumps the element's type and value, and the path with it. */
  elementLink: (path: string, type: number, value: number) => key(type, value, { link: path }),
} as const

/** The directory of a specification. */
export function odbDirectory(name: string, spec: OdbSpec): OdbDirectory {
  const children = new Map<string, OdbNode>()
  for (const [childName, child] of Object.entries(spec))
    children.set(
      childName.toLowerCase(),
      isKey(child) ? { kind: 'key', name: childName, ...child } : odbDirectory(childName, child),
    )
  return { kind: 'directory', name, children }
}

/** A directory's members are objects; a key's type is a number or null. */
function isKey(spec: KeySpec | OdbSpec): spec is KeySpec {
  return typeof spec.type === 'number' || spec.type === null
}
