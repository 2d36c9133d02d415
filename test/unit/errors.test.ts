import { describe, expect, test } from 'vitest'
import {
  ConflictError,
  classify,
  InvalidInputError,
  passesWithTime,
  TransientError,
} from '../../shared/errors.ts'

const thrown = (fields: object) => Object.assign(new Error('it says so'), fields)
const aws = (name: string, httpStatusCode: number) => thrown({ name, $metadata: { httpStatusCode } })

describe('what libraries throw becomes one of three kinds', () => {
  test.each([
    ['S3 asks to slow down', aws('SlowDown', 503), true],
    ['S3 has an internal error', aws('InternalError', 500), true],
    ['SQS throttles', aws('ThrottlingException', 400), true],
    ['HTTP 429 of a proxy', aws('Unknown', 429), true],
    ['the SDK gave up waiting', thrown({ name: 'TimeoutError' }), true],
    ['nobody listens', thrown({ code: 'ECONNREFUSED' }), true],
    ['the connection was cut', thrown({ code: 'ECONNRESET' }), true],
    ['the name is not resolved just now', thrown({ code: 'EAI_AGAIN' }), true],
    ['MariaDB went away', thrown({ code: 'PROTOCOL_CONNECTION_LOST' }), true],
    ['a deadlock', thrown({ code: 'ER_LOCK_DEADLOCK', errno: 1213 }), true],
    ['a lock was not given in time', thrown({ code: 'ER_LOCK_WAIT_TIMEOUT', errno: 1205 }), true],
    ['MariaDB stops', thrown({ code: 'ER_SERVER_SHUTDOWN' }), true],
    ['the bucket is not there', aws('NoSuchBucket', 404), false],
    ['the keys are wrong', aws('InvalidAccessKeyId', 403), false],
    ['the token has run out', aws('ExpiredToken', 400), false],
    ['the database refuses the password', thrown({ code: 'ER_ACCESS_DENIED_ERROR' }), false],
    ['something nobody has seen before', thrown({}), false],
    ['not even an error', 'a text', false],
  ])('%s: transient', (_, error, here) => {
    expect(classify(error)).toBeInstanceOf(TransientError)
    expect(passesWithTime(error)).toBe(here)
  })

  test('the object changed while it was read: a conflict', () => {
    expect(classify(aws('PreconditionFailed', 412))).toBeInstanceOf(ConflictError)
  })

  test('our own kinds pass through unchanged', () => {
    for (const error of [new TransientError('a'), new InvalidInputError('b'), new ConflictError('c')])
      expect(classify(error)).toBe(error)
  })

  test('the first error stays as the cause', () => {
    const error = thrown({ code: 'ECONNRESET' })
    expect(classify(error).cause).toBe(error)
  })

  test('a failed HEAD, of which the SDK knows only the status, states it', () => {
    const error = Object.assign(new Error('UnknownError'), {
      name: 'Unknown',
      $metadata: { httpStatusCode: 503 },
    })
    expect(classify(error).message).toBe('the store answered with status 503 and no reason')
  })

  test('an error of MariaDB is named by its number: the driver has only the names of MySQL', () => {
    const sqlMessage = 'CONSTRAINT `runs.parameters` failed for `cygnet`.`runs`'
    const code = 'ER_INNODB_AUTOEXTEND_SIZE_OUT_OF_RANGE'
    const error = thrown({ code, errno: 4025, sqlMessage, message: sqlMessage })
    expect(classify(error).message).toBe(`MariaDB error 4025: ${sqlMessage}`)
  })

  test('the words of a foreign server are made well-formed', () => {
    expect(classify(thrown({ code: 'X', message: 'a\ud83d\0' })).message).toBe('X: a\ufffd\ufffd')
  })

  test('an error without a text still states its name', () => {
    expect(
      classify(
        new AggregateError([thrown({ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:1' })]),
      ).message,
    ).toContain('ECONNREFUSED')
  })
})
