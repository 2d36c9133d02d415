/** What became of an announced object. */
export type Outcome = 'catalogued' | 'unchanged' | 'invalid' | 'gone' | 'failed' | 'ignored'
