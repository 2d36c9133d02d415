/** A request to paste into a shell. The variables are those of the page for Python. Pure. */
import { exampleOf, type Named, type Parameter, type Schemas } from './schema.ts'

/**
 * Made of the examples in the schemas: what a path needs, what a query must have, and a body where there is
 * one.
 */
export function curlLine({ method, path, operation }: Named, schemas: Schemas): string {
  const { parameters = [], requestBody, security } = operation
  const example = ({ schema = {} }: Parameter) => String(exampleOf(schema, schemas))
  const place = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const parameter = parameters.find((each) => each.in === 'path' && each.name === name)
    return parameter === undefined ? name : encodeURI(example(parameter))
  })
  const needed = parameters.filter((each) => each.in === 'query' && each.required === true)
  const query = needed.map((each) => `${each.name}=${encodeURIComponent(example(each))}`).join('&')
  const json = requestBody?.content['application/json']?.schema
  const body =
    json === undefined
      ? ''
      : ` \\\n  -H 'Content-Type: application/json' -d '${JSON.stringify(exampleOf(json, schemas))}'`
  const request = method === 'get' || (method === 'post' && body !== '') ? '' : ` -X ${method.toUpperCase()}`
  const who = security === undefined ? '' : ' -H "Authorization: Bearer $CYGNET_API_TOKEN"'
  return `curl${request}${who} "$CYGNET_API_URL${place}${query === '' ? '' : `?${query}`}"${body}`
}
