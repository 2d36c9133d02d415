/**
 * What became of an object that arrived. `deferred`: an attempt failed, and the arrival is due again later;
 * `failed`: so often that people were alerted. `in-progress`: another function works on it.
 */
export type Outcome =
  | 'catalogued'
  | 'unchanged'
  | 'invalid'
  | 'gone'
  | 'deferred'
  | 'failed'
  | 'in-progress'
  | 'ignored'
