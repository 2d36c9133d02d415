/**
 * receive-notification as AWS Lambda runs it. It only writes rows and sends messages, so its bundle has no S3
 * client.
 */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaHttp } from '../../shared/runtime/lambda.ts'
import { openContext } from '../../shared/runtime/open-context.ts'
import { createHandler, needs } from './handler.ts'

const opened = openContext(loadConfig(), 'receive-notification', needs).then((context) =>
  lambdaHttp(createHandler(context)),
)

export const handler: ReturnType<typeof lambdaHttp> = async (event) => (await opened)(event)
