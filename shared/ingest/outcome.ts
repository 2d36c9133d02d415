/**
 * How the processing of an arrival ended. `deferred`: the attempt failed, and the arrival is due again later;
 * `failed`: it has failed so often that an alert was sent. `in-progress`: another function works on it. `suspicious`: other bytes
 * than those that were catalogued of this version, which still count.
 */
export type Outcome =
  | 'catalogued'
  | 'unchanged'
  | 'invalid'
  | 'gone'
  | 'suspicious'
  | 'deferred'
  | 'failed'
  | 'in-progress'
  | 'ignored'
