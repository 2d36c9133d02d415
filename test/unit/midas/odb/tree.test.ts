import { describe, expect, test } from 'vitest'
import { type OdbSpec, odb, odbDirectory } from '../../../../shared/midas/odb/spec.ts'
import { odbTree } from '../../../../shared/midas/odb/tree.ts'

const treeOf = (spec: OdbSpec) => odbTree(odbDirectory('', spec))

describe('a path into the ODB', () => {
  const tree = treeOf({
    Equipment: { Trigger: { Statistics: { 'Events per sec.': odb.double(0.32) } } },
    Runinfo: { 'Start Time': odb.string('now'), State: odb.int(3) },
    List: odb.float([1, 2, 3]),
    'Odd[1]': odb.int(7),
  })

  test('finds names with blanks and dots, whatever their case', () => {
    expect(tree.get('/Equipment/Trigger/Statistics/Events per sec.')).toBe(0.32)
    expect(tree.get('/runinfo/START TIME')).toBe('now')
    expect(tree.get('Runinfo//Start time/')).toBe('now')
  })

  test('takes elements of arrays, and the element 0 of a plain key', () => {
    expect(tree.get('/List[2]')).toBe(3)
    expect(tree.get('/List[3]')).toBeUndefined()
    expect(tree.get('/Runinfo/State[0]')).toBe(3)
    expect(tree.get('/Runinfo/State[1]')).toBeUndefined()
  })

  test('prefers a key that is really called so', () => {
    expect(tree.get('/Odd[1]')).toBe(7)
  })

  test('gives nothing for directories, missing keys and paths through values', () => {
    expect(tree.get('/Equipment')).toBeUndefined()
    expect(tree.get('/Equipment/Nope')).toBeUndefined()
    expect(tree.get('/Runinfo/State/More')).toBeUndefined()
    expect(tree.get('/List[1]/More')).toBeUndefined()
    expect(tree.entries('/List')).toEqual([])
    expect(tree.entries('/Equipment').map((node) => node.name)).toEqual(['Trigger'])
    expect(tree.node('/Runinfo/State')).toMatchObject({ kind: 'key', type: 7, value: 3 })
  })
})

describe('a link', () => {
  test('gives the value it points to, through other links, directories and into arrays', () => {
    const tree = treeOf({
      Real: { Value: odb.int(5), List: odb.int([1, 2]) },
      First: odb.link('/Second'),
      Second: odb.link('/Folder/Value'),
      Folder: odb.link('/Real'),
      Element: odb.link('/Real/List[1]'),
    })
    expect(tree.get('/First')).toBe(5)
    expect(tree.get('/Folder/List[0]')).toBe(1)
    expect(tree.get('/Element')).toBe(2)
  })

  test('into an array element gives the value MIDAS resolved when it wrote the dump', () => {
    expect(treeOf({ GEM3: odb.elementLink('/Elsewhere[1]', 9, 420) }).get('/GEM3')).toBe(420)
  })

  test('that leads nowhere or in a circle gives nothing', () => {
    const tree = treeOf({
      A: odb.link('/B'),
      B: odb.link('/A'),
      C: odb.link('/Nowhere'),
      D: { Self: odb.link('/D/Self/Self') },
    })
    expect(tree.get('/A')).toBeUndefined()
    expect(tree.get('/C')).toBeUndefined()
    expect(tree.get('/D/Self/Self')).toBeUndefined()
  })
})
