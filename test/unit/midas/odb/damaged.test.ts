/** A dump that is cut, or damaged in one place, gives the keys that it still holds, with a warning. */
import { describe, expect, test } from 'vitest'
import { parseOdb } from '../../../../shared/midas/odb/odb.ts'
import { type SerializeDialect, serializeOdb } from '../../../../shared/midas/odb/serialize.ts'
import { odb, odbDirectory } from '../../../../shared/midas/odb/spec.ts'
import type { OdbDirectory, OdbValue } from '../../../../shared/midas/odb/tree.ts'
import { beginOfRun, cameraEvent, concat, endOfRun, extract } from '../../../support/midas-run.ts'

const parse = (text: string) => parseOdb(new TextEncoder().encode(text))
const codes = (parsed: { readonly warnings: readonly { readonly code: string }[] }) =>
  parsed.warnings.map(({ code }) => code)

const root = odbDirectory('', {
  Runinfo: { 'Run number': odb.int(17_234), State: odb.int(3), 'Start time': odb.string('Mon May  1 2023') },
  Equipment: {
    HV: { Variables: { Demand: odb.float([10, 440.5, 439, 438]), ChState: odb.dword([1, 0]) } },
    Environment: { Note: odb.string('20 °C, 🦢 <b> & "x"'), On: odb.bool(true) },
  },
  Configurations: { Pedestal: odb.bool(true), Exposure: odb.double(0.3), Rate: odb.double(-1.5e-7) },
})

function valuesOf(directory: OdbDirectory, path = ''): Map<string, OdbValue | undefined> {
  const found = new Map<string, OdbValue | undefined>()
  for (const node of directory.children.values()) {
    const name = `${path}/${node.name}`
    if (node.kind === 'key') found.set(name, node.value)
    else for (const [below, value] of valuesOf(node, name)) found.set(below, value)
  }
  return found
}

describe.each(['json', 'json-plain', 'xml', 'text'] as const)('a dump in %s', (dialect: SerializeDialect) => {
  const whole = serializeOdb(root, dialect)
  const wanted = valuesOf(parseOdb(whole).tree.root)

  test('cut anywhere gives the values before the cut, never another value, with a warning', () => {
    let most = 0
    for (let end = 1; end < whole.length - 2; end++) {
      let parsed: ReturnType<typeof parseOdb>
      try {
        parsed = parseOdb(whole.subarray(0, end))
      } catch {
        // Not one key was read yet.
        expect(most).toBe(0)
        continue
      }
      const found = valuesOf(parsed.tree.root)
      expect(found.size).toBeGreaterThanOrEqual(most)
      most = found.size
      for (const [path, value] of found) {
        const right = wanted.get(path)
        if (Array.isArray(value))
          for (const [index, item] of value.entries())
            expect([undefined, (right as [])[index]]).toContain(item)
        else expect(value).toEqual(right)
      }
    }
    // The last key is not known to be whole before what closes it.
    expect(most).toBeGreaterThanOrEqual(wanted.size - 1)
    const half = parseOdb(whole.subarray(0, whole.length / 2))
    expect(codes(half)).toContain('odb-damaged')
    expect(half.tree.isWhole).toBe(false)
    expect(half.tree.get('/Runinfo/Run number')).toBe(17_234)
  })
})

describe('a value that is none does not cost the others', () => {
  test.each([
    ['a C library of another system prints NaN', '{ "A" : 1, "X" : 1.#QNAN, "B" : 2 }'],
    ['a value is missing', '{ "A" : 1, "X" : , "B" : 2 }'],
    ['a colon is missing', '{ "A" : 1, "X" 7, "B" : 2 }'],
    ['a comma is missing', '{ "A" : 1, "X" : nonsense "B" : 2 }'],
    ['a decimal comma of unusual length', '{ "A" : 1, "X" : 6,65, "B" : 2 }'],
    ['a string without its quotes', '{ "A" : 1, "X" : some text, "B" : 2 }'],
    ['a bracket of the wrong kind', '{ "A" : 1, "X" : nonsense ], "B" : 2 }'],
    ['a bad element of an array', '{ "A" : 1, "C" : [ 1, nonsense, 3 ], "B" : 2 }'],
    [
      'an unescaped < in XML',
      '<odb root="/"><key name="A" type="INT">1</key><key name="X" type="STRING">a < b</key><key name="B" type="INT">2</key></odb>',
    ],
    [
      'a key without a name in XML',
      '<odb root="/"><key name="A" type="INT">1</key><key type="INT">1</key><key name="B" type="INT">2</key></odb>',
    ],
    [
      'text between two keys of XML',
      '<odb root="/"><key name="A" type="INT">1</key>text<key name="B" type="INT">2</key></odb>',
    ],
    [
      'an unknown element of XML',
      '<odb root="/"><key name="A" type="INT">1</key><script>x</script><key name="B" type="INT">2</key></odb>',
    ],
    [
      'a closing tag too many',
      '<odb root="/"><key name="A" type="INT">1</key></dir><key name="B" type="INT">2</key></odb>',
    ],
    [
      'a broken tag',
      '<odb root="/"><key name="A" type="INT">1</key><key name=X type="INT">1</key><key name="B" type="INT">2</key></odb>',
    ],
    [
      'an array out of order',
      '<odb root="/"><key name="A" type="INT">1</key><keyarray name="X" type="INT" num_values="2"><value index="1">1</value></keyarray><key name="B" type="INT">2</key></odb>',
    ],
  ])('%s', (_, text) => {
    const parsed = parse(text)
    expect(parsed.tree.get('/A')).toBe(1)
    expect(parsed.tree.get('/B')).toBe(2)
    expect(parsed.tree.get('/X')).toBeUndefined()
    expect(codes(parsed)).toEqual(['odb-damaged'])
  })

  test('a directory without its end ends with the dump', () => {
    const parsed = parse('<odb root="/"><dir name="D"><key name="A" type="INT">1</key></odb>')
    expect(parsed.tree.get('/D/A')).toBe(1)
    expect(parsed.warnings[0]?.message).toMatch(/closes <dir>/)
  })

  test('a dump that is one fault after the other is given up after a hundred', () => {
    const parsed = parse(`{ "A" : 1, ${'"X" : nonsense, '.repeat(200)} "B" : 2 }`)
    expect(parsed.tree.get('/A')).toBe(1)
    expect(parsed.tree.get('/B')).toBeUndefined()
    expect(codes(parsed)).toEqual(['odb-damaged'])
  })
})

test('a file whose dumps lack their end keeps the run parameters before it, and is a whole file', async () => {
  const xml = new TextEncoder().encode(
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n<odb root="/"><dir name="Runinfo"><key name="Start time binary" type="DWORD">1702593197</key></dir><dir name="Configurations"><key name="Pedestal" type="BOOL">y</key></dir>',
  )
  const {
    complete,
    odb: parameters,
    startedAt,
    warnings,
  } = await extract(concat(beginOfRun(7, xml), cameraEvent(0), endOfRun(7, xml)), 'run00007.mid')
  expect({ complete, pedestal: parameters.pedestal_run, startedAt }).toEqual({
    complete: true,
    pedestal: 1,
    startedAt: 1_702_593_197,
  })
  expect(warnings.map(({ code }) => code)).toEqual(['odb-damaged'])
})

test('what a cut begin-of-run dump lacks is taken from the end-of-run dump', async () => {
  const text = (value: string) => new TextEncoder().encode(value)
  const whole =
    '{"Configurations":{"Exposure":0.3},"Runinfo":{"Run number":7,"Start time binary":1702593197}}'
  const file = concat(beginOfRun(7, text(whole.slice(0, 50))), cameraEvent(0), endOfRun(7, text(whole)))
  const { odb: parameters, startedAt } = await extract(file, 'run00007.mid')
  expect(parameters.exposure_sec).toBe(0.3)
  expect(startedAt).toBe(1_702_593_197)
})
