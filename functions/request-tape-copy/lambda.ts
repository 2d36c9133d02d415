/** request-tape-copy as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaQueue } from '../../shared/runtime/lambda.ts'
import { createTapeContext } from '../../shared/runtime/open-context.ts'
import { createHandler } from './handler.ts'

const opened = createTapeContext(loadConfig(), 'request-tape-copy').then((context) =>
  lambdaQueue(createHandler(context), context.log),
)

export const handler: ReturnType<typeof lambdaQueue> = async (event, call) => (await opened)(event, call)
