/** The entry point of catalog-api on AWS Lambda. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaHttp } from '../../shared/runtime/lambda.ts'
import { openContext } from '../../shared/runtime/open-context.ts'
import { createHandler, needs } from './handler.ts'

const opened = openContext(loadConfig(), 'catalog-api', needs).then((context) =>
  lambdaHttp(createHandler(context)),
)

export const handler: ReturnType<typeof lambdaHttp> = async (event) => (await opened)(event)
