/** dispatch-alert as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaQueue } from '../../shared/runtime/lambda.ts'
import { openContext } from '../../shared/runtime/open-context.ts'
import { createHandler, needs } from './handler.ts'

const opened = openContext(loadConfig(), 'dispatch-alert', needs).then((context) =>
  lambdaQueue(createHandler(context), context.log),
)

export const handler: ReturnType<typeof lambdaQueue> = async (event, call) => (await opened)(event, call)
