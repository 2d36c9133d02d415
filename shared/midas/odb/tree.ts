/**
 * The MIDAS online database (ODB) as a tree of directories and keys, independent of the dialect of the dump.
 *
 * Names are compared case-insensitively, as in MIDAS: its versions write both `Start time` and `Start Time`.
 */

/**
 * One value. 64-bit integers beyond 2^53 are bigint; undefined where the dump names a key without its value.
 */
export type OdbScalar = number | bigint | boolean | string | undefined
export type OdbValue = Exclude<OdbScalar, undefined> | readonly OdbScalar[]

export interface OdbKey {
  readonly kind: 'key'
  readonly name: string
  /** MIDAS type (TID); null in the client dialect of JSON, which has none. */
  readonly type: number | null
  readonly value: OdbValue | undefined
  /** The target path of a link; null for a plain key. */
  readonly link: string | null
  /** Bytes reserved for a string in the ODB; null when unknown or not a string. */
  readonly itemSize: number | null
}

export interface OdbDirectory {
  readonly kind: 'directory'
  readonly name: string
  /** By lower-case name, in the order of the dump. */
  readonly children: ReadonlyMap<string, OdbNode>
}

export type OdbNode = OdbKey | OdbDirectory

export interface OdbTree {
  /** False when some keys of the dump could not be read. */
  readonly isWhole: boolean
  readonly root: OdbDirectory
  /**
   * The value at a path such as `/Equipment/HV/Variables/Demand[1]`; links are followed. Undefined when there
   * is none.
   */
  get(path: string): OdbValue | undefined
  /** The directory or key at a path (no index); links are followed. */
  node(path: string): OdbNode | undefined
  /** The entries of a directory, in the order of the dump; empty when it does not exist. */
  entries(path: string): readonly OdbNode[]
}

/** Links may point to links; more steps than this are a loop. */
const LINK_STEPS = 16

/** Creates the tree from its root directory. */
export function odbTree(root: OdbDirectory, isWhole = true): OdbTree {
  const find = (path: string, budget: { steps: number }): OdbNode | OdbValue | undefined => {
    let found: OdbNode | OdbValue | undefined = root
    for (const part of path.split('/')) {
      if (part === '') continue
      if (found === undefined || !isNode(found) || found.kind !== 'directory') return undefined
      found = step(found, part, budget)
    }
    return found
  }

  const step = (
    directory: OdbDirectory,
    part: string,
    budget: { steps: number },
  ): OdbNode | OdbValue | undefined => {
    const exact = directory.children.get(part.toLowerCase())
    if (exact !== undefined) return follow(exact, budget)
    const indexed = /^(.*)\[(\d{1,9})\]$/s.exec(part)
    if (indexed === null) return undefined
    const array = directory.children.get((indexed[1] ?? '').toLowerCase())
    if (array === undefined) return undefined
    return element(follow(array, budget), Number(indexed[2]))
  }

  /**
   * Replaces a link by its target. A link whose dump contains a resolved value (as MIDAS does for array
   * elements) keeps that value.
   */
  const follow = (node: OdbNode, budget: { steps: number }): OdbNode | OdbValue | undefined => {
    if (node.kind !== 'key' || node.link === null || node.value !== node.link) return node
    budget.steps += 1
    return budget.steps > LINK_STEPS ? undefined : find(node.link, budget)
  }

  const resolve = (path: string) => find(path, { steps: 0 })
  return {
    root,
    isWhole,
    get(path) {
      const found = resolve(path)
      if (found === undefined || !isNode(found)) return found
      return found.kind === 'key' ? found.value : undefined
    },
    node(path) {
      const found = resolve(path)
      return found !== undefined && isNode(found) ? found : undefined
    },
    entries(path) {
      const found = resolve(path)
      return found !== undefined && isNode(found) && found.kind === 'directory'
        ? [...found.children.values()]
        : []
    },
  }
}

function isNode(found: OdbNode | OdbValue): found is OdbNode {
  return typeof found === 'object' && 'kind' in found
}

/** Element `index`; MIDAS reads a plain key as an array of one. */
function element(found: OdbNode | OdbValue | undefined, index: number): OdbValue | undefined {
  if (found === undefined) return undefined
  const value = isNode(found) ? (found.kind === 'key' ? found.value : undefined) : found
  if (isArray(value)) return value[index]
  return index === 0 ? value : undefined
}

/** `Array.isArray` does not narrow a readonly array. */
function isArray(value: OdbValue | undefined): value is readonly OdbScalar[] {
  return Array.isArray(value)
}
