import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidInputError } from '../../shared/errors.ts'
import { odbLimits } from '../../shared/midas/odb/builder.ts'
import { parseOdb } from '../../shared/midas/odb/odb.ts'
import { type SerializeDialect, serializeOdb } from '../../shared/midas/odb/serialize.ts'
import { type KeySpec, type OdbSpec, odbDirectory } from '../../shared/midas/odb/spec.ts'
import type { OdbDirectory, OdbScalar, OdbValue } from '../../shared/midas/odb/tree.ts'
import { TID } from '../../shared/midas/tid.ts'

/**
 * Any text an ODB key may hold; carriage returns, NULs and the end mark of the text form do not occur in it.
 */
const text = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .map((value) => value.replace(/[\0\r\ufffd]|[\ud800-\udfff]/gu, '?'))
const name = fc
  .string({ unit: fc.constantFrom(...'abcXYZ019 ._-&<>"\'é'), minLength: 1, maxLength: 12 })
  .map((value) => value.trim())
  .filter((value) => value !== '' && value !== '.')
const line = text.map((value) => value.replaceAll('\n', ' '))

const scalars: ReadonlyArray<readonly [number, fc.Arbitrary<OdbScalar>]> = [
  [TID.uint8, fc.nat(0xff)],
  [TID.uint16, fc.nat(0xffff)],
  [TID.uint32, fc.nat(0xffffffff)],
  [TID.int16, fc.integer({ min: -0x8000, max: 0x7fff })],
  [TID.int32, fc.integer()],
  [TID.bool, fc.boolean()],
  [TID.float32, fc.float()],
  [TID.float64, fc.double()],
  [TID.uint64, fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })],
  [TID.int64, fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) })],
  [TID.string, line],
]

const key: fc.Arbitrary<KeySpec> = fc.constantFrom(...scalars).chain(([type, value]) => {
  const spec = (given: OdbValue): KeySpec => ({
    type,
    value: given,
    link: null,
    itemSize: type === TID.string ? 256 : null,
  })
  const many = fc.array(value, { minLength: 2, maxLength: 5 }).map((values) => spec(values))
  const one = (type === TID.string ? text : value).map((given) => spec(given as OdbValue))
  return fc.oneof(one, many)
})

const spec: fc.Arbitrary<OdbSpec> = fc.letrec<{ directory: OdbSpec }>((tie) => ({
  directory: fc
    .uniqueArray(fc.tuple(name, fc.oneof({ depthSize: 'small' }, key, tie('directory'))), {
      minLength: 1,
      maxLength: 6,
      selector: ([childName]) => childName.toLowerCase(),
    })
    .map((children) => Object.fromEntries(children) as OdbSpec),
})).directory

/** Path → type and value; directories without keys are not in a text dump and left out. */
function valuesOf(directory: OdbDirectory, dialect: SerializeDialect, path = ''): Map<string, unknown> {
  const found = new Map<string, unknown>()
  for (const node of directory.children.values()) {
    const childPath = `${path}/${node.name}`
    if (node.kind === 'key')
      found.set(childPath, [
        node.type,
        [node.value].flat().map((value) => printed(value, node.type, dialect)),
      ])
    else for (const [below, value] of valuesOf(node, dialect, childPath)) found.set(below, value)
  }
  return found
}

/**
 * What a print can carry: MIDAS's JSON gives a FLOAT eight digits, one less than it needs; zero has no sign.
 */
function printed(value: OdbScalar, type: number | null, dialect: SerializeDialect): OdbScalar {
  if (value === 0) return 0
  if (type !== TID.float32 || typeof value !== 'number') return value
  return dialect === 'json' ? Number(value.toPrecision(8)) : Math.fround(value)
}

const dialects: readonly SerializeDialect[] = ['json', 'xml', 'text']

describe.each(dialects)('an ODB written as %s', (dialect) => {
  test('is read back with the same names, types and values', () => {
    fc.assert(
      fc.property(spec, (given) => {
        const root = odbDirectory('', given)
        if (valuesOf(root, dialect).size === 0) return
        const read = parseOdb(serializeOdb(root, dialect))
        expect(valuesOf(read.tree.root, dialect)).toEqual(valuesOf(root, dialect))
        expect(read.warnings).toEqual([])
      }),
      { numRuns: 200 },
    )
  })

  test('is read back from the print of an Italian locale too, with a warning', () => {
    const root = odbDirectory('', { Exposure: { type: TID.float64, value: 0.3, link: null, itemSize: null } })
    const read = parseOdb(serializeOdb(root, dialect, { decimalCommas: true }))
    expect(read.tree.get('/Exposure')).toBe(0.3)
    expect(read.warnings.map((warning) => warning.code)).toEqual(['odb-decimal-commas'])
  })

  test('gives a tree or an InvalidInputError, never anything else, however its bytes are changed', () => {
    const edit = fc.record({ at: fc.nat(), remove: fc.nat(8), insert: fc.uint8Array({ maxLength: 8 }) })
    fc.assert(
      fc.property(spec, fc.array(edit, { minLength: 1, maxLength: 4 }), (given, edits) => {
        let bytes = serializeOdb(odbDirectory('', given), dialect)
        for (const { at, remove, insert } of edits) {
          const place = at % (bytes.length + 1)
          bytes = Uint8Array.of(...bytes.subarray(0, place), ...insert, ...bytes.subarray(place + remove))
        }
        onlyInvalidInput(() => parseOdb(bytes))
      }),
      { numRuns: 300 },
    )
  })
})

function onlyInvalidInput(action: () => unknown): void {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInputError)
  }
}

test('any bytes at all give a tree or an InvalidInputError', () => {
  fc.assert(
    fc.property(fc.constantFrom('{', '<', '[', ''), fc.uint8Array({ maxLength: 300 }), (first, bytes) => {
      onlyInvalidInput(() => parseOdb(Uint8Array.of(...new TextEncoder().encode(first), ...bytes)))
    }),
  )
})

describe('a hostile dump is refused or read in bounded time', () => {
  const SMALL_BYTES = 62_500
  const TIMES = 32
  /** CPU time of this process, which the load of the machine does not change, milliseconds. */
  const cpuMs = (work: () => void): number => {
    const before = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  }
  const fill = (text: string, bytes: number) => text.repeat(Math.ceil(bytes / text.length))
  test.each<[string, (bytes: number) => string]>([
    ['JSON nested a million deep', (bytes) => fill('{"a":', bytes)],
    ['JSON arrays nested', (bytes) => `{"a":${fill('[', bytes)}`],
    ['JSON of one long number', (bytes) => `{"a":${fill('1', bytes)}}`],
    ['JSON of digits and commas', (bytes) => `{"a":${fill('1,2345678', bytes)}}`],
    ['JSON of backslashes', (bytes) => `{"a":"${fill('\\', bytes)}`],
    ['JSON of blanks', (bytes) => `{${fill(' ', bytes)}`],
    [
      'JSON of a million keys',
      (bytes) => `{${Array.from({ length: bytes / 4 }, (_, index) => `"${index}":1`).join(',')}}`,
    ],
    ['XML nested', (bytes) => fill('<dir name="a">', bytes)],
    ['XML of a tag that never ends', (bytes) => `<odb ${fill('a="b" ', bytes)}`],
    ['XML of blanks in a tag', (bytes) => `<odb${fill(' ', bytes)}x`],
    ['XML of comments', (bytes) => `<odb root="/">${fill('<!-- -->', bytes)}`],
    ['XML of open comments', (bytes) => `<odb root="/"><!-- ${fill('<!-- ', bytes)}`],
    [
      'XML of ampersands',
      (bytes) => `<odb root="/"><key name="a" type="STRING">${fill('&#1', bytes)}</key></odb>`,
    ],
    ['XML with a deep root', (bytes) => `<odb root="${fill('/a', bytes)}"></odb>`],
    ['text of empty lines', (bytes) => `[A]${fill('\n', bytes)}`],
    ['text of equal signs', (bytes) => `[A]\n${fill('=', bytes)}`],
    ['text of one long line', (bytes) => `[A]\n${fill('a b ', bytes)}`],
    ['text of brackets', (bytes) => fill('[', bytes)],
    ['text with a deep section', (bytes) => `[${fill('a/', bytes)}]\nX = INT : 1\n`],
    ['text of open texts', (bytes) => fill('[A]\nN = STRING : [====#$@$#====]\n', bytes)],
  ])('%s', (_, textOf) => {
    const [small, large] = [SMALL_BYTES, TIMES * SMALL_BYTES].map((bytes) =>
      new TextEncoder().encode(textOf(bytes)),
    )
    const smallMs = cpuMs(() => onlyInvalidInput(() => parseOdb(small as Uint8Array)))
    const largeMs = cpuMs(() => onlyInvalidInput(() => parseOdb(large as Uint8Array)))
    // Linear work takes about 32 times as long, quadratic work a thousand times: this tells the one from the
    // other on any machine.
    expect(largeMs).toBeLessThan(8 * TIMES * Math.max(smallMs, 4))
  })

  test('of more than the accepted size is refused unread', () => {
    expect(() => parseOdb(new Uint8Array(odbLimits.sizeBytes + 1))).toThrow(/the most accepted/)
  })
})
