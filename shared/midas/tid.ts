/**
 * MIDAS type ids (TID): the data types of banks and ODB keys. Source: MIDAS's own table; `UINT8` … `FLOAT64`
 * are the names of the same types in newer versions.
 */
export const TID = {
  uint8: 1,
  int8: 2,
  char: 3,
  uint16: 4,
  int16: 5,
  uint32: 6,
  int32: 7,
  bool: 8,
  float32: 9,
  float64: 10,
  bitfield: 11,
  string: 12,
  link: 16,
  int64: 17,
  uint64: 18,
} as const

export interface TidInfo {
  readonly tid: number
  readonly name: string
  readonly alias: string | null
  /** Of one value; 0 where the size varies. */
  readonly sizeBytes: number
}

const row = (tid: number, name: string, alias: string | null, sizeBytes: number): TidInfo => ({
  tid,
  name,
  alias,
  sizeBytes,
})

const tids: readonly TidInfo[] = [
  row(1, 'BYTE', 'UINT8', 1),
  row(2, 'SBYTE', 'INT8', 1),
  row(3, 'CHAR', null, 1),
  row(4, 'WORD', 'UINT16', 2),
  row(5, 'SHORT', 'INT16', 2),
  row(6, 'DWORD', 'UINT32', 4),
  row(7, 'INT', 'INT32', 4),
  row(8, 'BOOL', null, 4),
  row(9, 'FLOAT', 'FLOAT32', 4),
  row(10, 'DOUBLE', 'FLOAT64', 8),
  row(11, 'BITFIELD', null, 4),
  row(12, 'STRING', null, 0),
  row(13, 'ARRAY', null, 0),
  row(14, 'STRUCT', null, 0),
  row(15, 'KEY', null, 0),
  row(16, 'LINK', null, 0),
  row(17, 'INT64', null, 8),
  row(18, 'QWORD', 'UINT64', 8),
]

const byTid = new Map(tids.map((info) => [info.tid, info]))
const byName = new Map(
  tids.flatMap((info) => [info.name, info.alias ?? info.name].map((name) => [name, info.tid] as const)),
)

/** The properties of a type; undefined for a number that MIDAS does not define. */
export function tidInfo(tid: number): TidInfo | undefined {
  return byTid.get(tid)
}

/** The number of a type, from its name in ODB dumps and history headers; undefined when unknown. */
export function tidOfName(name: string): number | undefined {
  return byName.get(name.toUpperCase())
}
