import { describe, expect, test } from 'vitest'
import { InvalidInputError } from '../../../../shared/errors.ts'
import { parseOdb } from '../../../../shared/midas/odb/odb.ts'

const parse = (text: string) => parseOdb(new TextEncoder().encode(text))
const latin1 = (text: string) => parseOdb(Uint8Array.from(text, (character) => character.charCodeAt(0)))

describe('a raw JSON dump', () => {
  const typed = (type: number, value: string) =>
    parse(`{ "X/key" : { "type" : ${type}, "access_mode" : 7 }, "X" : ${value} }`).tree.get('/X')

  test('is distinguished from a plain one by its type metadata, at any position', () => {
    expect(parse('{ "X" : 1, "X/key" : { "type" : 7 } }').dialect).toBe('json')
    expect(parse('{ "X" : 1, "Y" : { "Z" : "text" } }').dialect).toBe('json-plain')
  })

  test.each([
    ['BYTE', 1, '"0x7f"', 127],
    ['WORD', 4, '"0xffff"', 65535],
    ['DWORD', 6, '"0x644fee07"', 1682959879],
    ['QWORD within 2^53', 18, '"0x00000000000000ff"', 255],
    ['QWORD beyond 2^53', 18, '"0xffffffffffffffff"', 18446744073709551615n],
    ['INT64', 17, '"0xffffffffffffffff"', -1],
    ['INT', 7, '-3', -3],
    ['BOOL', 8, 'true', true],
    ['FLOAT', 9, '6.6584000e+01', 66.584],
    ['DOUBLE not a number', 10, '"NaN"', Number.NaN],
    ['DOUBLE infinite', 10, '"-Infinity"', Number.NEGATIVE_INFINITY],
    ['STRING that looks like a number', 12, '"0x10"', '0x10'],
  ])('gives a %s as the value it stands for', (_, type, json, value) => {
    expect(typed(type, json)).toEqual(value)
  })

  test('gives nothing for a 64-bit integer that MIDAS could not print', () => {
    expect(typed(17, '"(TID_UNKNOWN value)"')).toBeUndefined()
  })

  test('gives nothing for a value that does not fit its type', () => {
    expect(typed(7, '"seven"')).toBeUndefined()
    expect(typed(7, '1.5')).toBeUndefined()
    expect(typed(10, 'true')).toBeUndefined()
  })

  test('gives arrays element by element', () => {
    const { tree } = parse(
      '{ "A/key" : { "type" : 6, "num_values" : 2 }, "A" : [ "0x00000001", "0x00000002" ] }',
    )
    expect(tree.get('/A')).toEqual([1, 2])
    expect(tree.get('/A[1]')).toBe(2)
    expect(tree.get('/A[2]')).toBeUndefined()
  })

  test('keeps the order of keys, also of numeric names', () => {
    expect(
      parse('{ "10" : 1, "2" : 1, "b" : 1 }')
        .tree.entries('/')
        .map((node) => node.name),
    ).toEqual(['10', '2', 'b'])
  })
})

describe('what real JSON dumps get wrong', () => {
  test('decimal commas are corrected outside strings, counted and reported', () => {
    const { tree, warnings } = parse(
      '{ "P/key" : { "type" : 10 }, "P" : 6,6584000000000003e+01, "Q/key" : { "type" : 9 }, "Q" : [ -1,5000000e-02, 3, 4 ], "S" : "6,6584000000000003e+01" }',
    )
    expect(tree.get('/P')).toBe(66.584000000000003)
    expect(tree.get('/Q')).toEqual([-0.015, 3, 4])
    expect(tree.get('/S')).toBe('6,6584000000000003e+01')
    expect(warnings.map((warning) => warning.code)).toEqual(['odb-decimal-commas'])
    expect(warnings[0]?.message).toContain('2 numbers')
  })

  test('control characters inside strings are kept', () => {
    expect(parse('{ "S" : "two\nlines\tand a tab" }').tree.get('/S')).toBe('two\nlines\tand a tab')
  })

  test('bytes that are no UTF-8 are dropped, with a warning', () => {
    const { tree, warnings } = latin1('{ "S" : "20 \xb0C" }')
    expect(tree.get('/S')).toBe('20 C')
    expect(warnings.map((warning) => warning.code)).toEqual(['odb-invalid-utf8'])
  })

  test('trailing NULs and line breaks do not matter', () => {
    expect(parse('{ "X" : 1 }\n\0\0').tree.get('/X')).toBe(1)
  })

  test('names of JavaScript itself are names like any other', () => {
    const { tree } = parse('{ "__proto__" : { "polluted" : true }, "constructor" : 1, "toString" : 2 }')
    expect(tree.get('/__proto__/polluted')).toBe(true)
    expect(tree.get('/constructor')).toBe(1)
    expect(tree.get('/hasOwnProperty')).toBeUndefined()
    expect(Object.keys({})).toEqual([])
    expect('polluted' in {}).toBe(false)
  })
})

describe('an XML dump', () => {
  const xml = (body: string, root = '/') => `<?xml version="1.0" encoding="ISO-8859-1"?>
<!-- created by MXML on Mon May  1 18:51:19 2023 -->
<odb root="${root}" filename="" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">${body}</odb>
\0`

  test('gives directories, keys and arrays with their values', () => {
    const { tree, dialect } = parse(
      xml(`
  <dir name="HV &amp; gas">
    <key name="On" type="BOOL">y</key>
    <key name="State" type="UINT32">3</key>
    <key name="Mask" type="WORD">0xff</key>
    <key name="Rate" type="DOUBLE">1.5</key>
    <key name="Note" type="STRING" size="32">a &lt;b&gt; &#x263a; &unknown;</key>
    <key name="Empty" type="STRING" size="32"></key>
    <key name="Alias" type="LINK" size="32">/HV &amp; gas/State</key>
    <keyarray name="Demand" type="FLOAT" num_values="2">
      <value index="0">10</value>
      <value index="1">400.5</value>
    </keyarray>
    <key name="Old" type="INT" num_values="2"><value>1</value><value>2</value></key>
    <dir name="Nothing"></dir>
  </dir>`),
    )
    expect(dialect).toBe('xml')
    expect(tree.get('/hv & gas/on')).toBe(true)
    expect(tree.get('/HV & gas/State')).toBe(3)
    expect(tree.get('/HV & gas/Mask')).toBe(255)
    expect(tree.get('/HV & gas/Rate')).toBe(1.5)
    expect(tree.get('/HV & gas/Note')).toBe('a <b> ☺ &unknown;')
    expect(tree.get('/HV & gas/Empty')).toBe('')
    expect(tree.get('/HV & gas/Alias')).toBe(3)
    expect(tree.get('/HV & gas/Demand')).toEqual([10, 400.5])
    expect(tree.get('/HV & gas/Old[1]')).toBe(2)
    expect(tree.entries('/HV & gas/Nothing')).toEqual([])
  })

  test('of a part of the ODB states its path', () => {
    expect(parse(xml('<key name="State" type="INT">3</key>', '/Runinfo')).tree.get('/Runinfo/State')).toBe(3)
  })

  test('is read as UTF-8 whatever it declares, and as ISO-8859-1 where it is not UTF-8', () => {
    expect(parse(xml('<key name="S" type="STRING">20 °C</key>')).tree.get('/S')).toBe('20 °C')
    expect(latin1(xml('<key name="S" type="STRING">20 \xb0C</key>')).tree.get('/S')).toBe('20 °C')
  })

  test.each([
    [
      'a document type with entities',
      '<!DOCTYPE odb [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><odb root="/"/>',
      /document types/,
    ],
    ['a closing tag that does not match', xml('<dir name="A"></odb>'), /closes <dir>/],
    ['an end in the middle', '<odb root="/"><dir name="A">', /ends inside/],
    ['elements that are no ODB', xml('<script name="x">1</script>'), /not part of an ODB/],
    ['a key without a name', xml('<key type="INT">1</key>'), /has no name/],
    [
      'array elements out of order',
      xml('<keyarray name="A" type="INT" num_values="2"><value index="1">1</value></keyarray>'),
      /says it is "1"/,
    ],
  ])('with %s is refused with the reason', (_, text, reason) => {
    expect(() => parse(text)).toThrow(InvalidInputError)
    expect(() => parse(text)).toThrow(reason)
  })
})

describe("a dump in MIDAS's old text form", () => {
  const dump = `[/Runinfo]
State = INT : 3
Start time = STRING : [32] Mon May  1 18:51:19 2023

[/Equipment/HV/Variables]
Events per sec. = DOUBLE : 0,32
ChState = DWORD[2] :
[0] 1
[1] 0x10
Names = STRING[3] :
[32] Offset
[32]
[32] VGEM3 = not a key

[.]
Note = STRING : [====#$@$#====]
first line
[second] = INT : 7
====#$@$#====
Alias = LINK : [64] /Runinfo/State
Online = BOOL : y
Broken = NOSUCHTYPE : 1
`

  test('gives sections, values, arrays and texts of several lines', () => {
    const { tree, dialect, warnings } = parse(`${dump}\0`)
    expect(dialect).toBe('text')
    expect(tree.get('/Runinfo/State')).toBe(3)
    expect(tree.get('/Runinfo/Start time')).toBe('Mon May  1 18:51:19 2023')
    expect(tree.get('/Equipment/HV/Variables/ChState')).toEqual([1, 16])
    expect(tree.get('/Equipment/HV/Variables/Names')).toEqual(['Offset', '', 'VGEM3 = not a key'])
    expect(tree.get('/Note')).toBe('first line\n[second] = INT : 7')
    expect(tree.get('/Alias')).toBe(3)
    expect(tree.get('/Online')).toBe(true)
    expect(tree.get('/Broken')).toBeUndefined()
    expect(tree.get('/Equipment/HV/Variables/Events per sec.')).toBe(0.32)
    expect(warnings.map((warning) => warning.code)).toEqual(['odb-decimal-commas'])
  })

  test('does not let an array swallow the keys after it when its count is too large', () => {
    const { tree } = parse('[A]\nX = INT[1000000] :\n[0] 1\nY = INT : 2\n')
    expect(tree.get('/A/X')).toEqual([1])
    expect(tree.get('/A/Y')).toBe(2)
  })
})

describe('what is no ODB dump', () => {
  test.each([
    ['nothing', '', /empty/],
    ['blanks and NULs', ' \n\0', /empty/],
    ['something else', 'ROOT file', /neither JSON, XML nor the old text form/],
    ['JSON that is cut', '{ "A" : { "B" : 1', /ends in the middle/],
    ['JSON cut in a string', '{ "A" : "te', /no closing quote/],
    ['JSON with more behind it', '{ } { }', /something follows/],
    ['JSON with a missing colon', '{ "A" 1 }', /colon/],
    ['a text form without keys', '[section]\nnothing here\n', /holds no key/],
    ['a text without an end mark', '[A]\nN = STRING : [====#$@$#====]\nline\n', /no end mark/],
  ])('%s is refused with the reason', (_, text, reason) => {
    expect(() => parse(text)).toThrow(InvalidInputError)
    expect(() => parse(text)).toThrow(reason)
  })
})
