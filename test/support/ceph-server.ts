/**
 * A server that answers as Ceph 16.2 does to requests about notifications: a configuration that is put is added by
 * the ids of its rules, each rule has a copy of its topic, a rule is deleted by its id, and the tenant is filled into
 * ARNs. test/real compares Cygnet with a real one.
 */
import { text } from 'node:stream/consumers'
import { startHttpServer, type TestServer } from './http-server.ts'

interface Topic {
  readonly endpoint: string
  readonly opaqueData: string
  readonly persistent: string
}

export interface CephServer extends TestServer {
  /** The XML of each rule, by its id. */
  readonly rules: Map<string, string>
  /** Topics by name, with the copy of each rule as `<id>_<topic>`. */
  readonly topics: Map<string, Topic>
  /** Of the requests that change something: `PUT`, `DELETE cygnet-…`, `CreateTopic`. */
  readonly changes: string[]
}

export async function startCephServer(tenant = ''): Promise<CephServer> {
  const [rules, topics, changes]: [Map<string, string>, Map<string, Topic>, string[]] = [
    new Map(),
    new Map(),
    [],
  ]
  const arnOf = (name: string) => `arn:aws:sns:default:${tenant}:${name}`
  const put = (body: string): number => {
    for (const [, rule = ''] of body.matchAll(/<TopicConfiguration>(.*?)<\/TopicConfiguration>/gs)) {
      const [, id = ''] = /<Id>([^<]+)<\/Id>/.exec(rule) ?? []
      const [, name = ''] = /<Topic>[^<]*:([^<:]+)<\/Topic>/.exec(rule) ?? []
      const topic = topics.get(name)
      if (topic === undefined) return 404
      topics.set(`${id}_${name}`, topic)
      rules.set(id, rule.replace(/<Topic>[^<]*<\/Topic>/, `<Topic>${arnOf(name)}</Topic>`))
    }
    return rules.size === 0 ? 400 : 200
  }
  const answerTopics = (form: URLSearchParams): string | null => {
    if (form.get('Action') === 'CreateTopic') {
      const values = new Map<string | null, string>()
      for (let entry = 1; form.has(`Attributes.entry.${entry}.key`); entry++)
        values.set(
          form.get(`Attributes.entry.${entry}.key`),
          form.get(`Attributes.entry.${entry}.value`) ?? '',
        )
      const name = form.get('Name') ?? ''
      const [endpoint, opaqueData] = [values.get('push-endpoint') ?? '', values.get('OpaqueData') ?? '']
      topics.set(name, { endpoint, opaqueData, persistent: values.get('persistent') ?? 'false' })
      return `<CreateTopicResponse><TopicArn>${arnOf(name)}</TopicArn></CreateTopicResponse>`
    }
    const topic = topics.get(form.get('TopicArn')?.split(':')[5] ?? '')
    if (topic === undefined) return null
    const { endpoint, opaqueData, persistent } = topic
    const isPersistent = persistent === 'true' ? 'True' : 'False'
    return `<GetTopicResponse><EndPoint><EndpointAddress>${endpoint}</EndpointAddress><Persistent>${isPersistent}</Persistent></EndPoint><OpaqueData>${opaqueData.replaceAll('&', '&amp;')}</OpaqueData></GetTopicResponse>`
  }
  const server = await startHttpServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://ceph')
    const body = await text(request)
    const answer = (status: number, xml = '') => response.writeHead(status).end(xml)
    if (request.method === 'POST' && pathname === '/') {
      const form = new URLSearchParams(body)
      if (form.get('Action') === 'CreateTopic') changes.push('CreateTopic')
      const xml = answerTopics(form)
      return answer(xml === null ? 404 : 200, xml ?? '<Error><Code>NoSuchKey</Code></Error>')
    }
    if (request.method === 'GET')
      return answer(
        200,
        `<NotificationConfiguration>${[...rules.values()].map((rule) => `<TopicConfiguration>${rule}</TopicConfiguration>`).join('')}</NotificationConfiguration>`,
      )
    const id = searchParams.get('notification') ?? ''
    changes.push(`${request.method} ${id}`.trim())
    if (request.method === 'DELETE') rules.delete(id)
    answer(request.method === 'PUT' ? put(body) : 200)
  })
  return { ...server, rules, topics, changes }
}
