/**
 * The parts of a browser that sign-in needs: cookies, redirects and forms.
 */

export interface Page {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export interface FormBrowser {
  /** Cookies by origin and name. A real browser shares them between the ports of a host. */
  readonly cookies: Map<string, Map<string, string>>
  /** Follows redirects while `follow` returns true. */
  open(url: string | URL, init?: RequestInit): Promise<Page>
  /** Fills in and sends the form of the page. */
  submit(page: Page, fields?: Readonly<Record<string, string>>): Promise<Page>
}

const MAX_REDIRECTS = 15

/**
 * @param fetchOf sends a request: to the network, or to an app under test.
 * @param follow false for an address that is returned and not opened.
 */
export function createFormBrowser(
  options: {
    readonly fetchOf?: (request: Request) => Promise<Response>
    readonly follow?: (url: URL) => boolean
  } = {},
): FormBrowser {
  const { fetchOf = fetch, follow = () => true } = options
  const cookies = new Map<string, Map<string, string>>()

  const send = async (url: URL, init: RequestInit): Promise<Response> => {
    const jar = cookies.get(url.origin) ?? new Map<string, string>()
    cookies.set(url.origin, jar)
    const headers = new Headers(init.headers)
    headers.set('accept', 'text/html')
    if (jar.size > 0) headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '))
    const answer = await fetchOf(new Request(url, { ...init, headers, redirect: 'manual' }))
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const isDeleted = value === '' || /max-age=0|expires=Thu, 01 Jan 1970/i.test(line)
      if (isDeleted) jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }

  const open = async (start: string | URL, init: RequestInit = {}): Promise<Page> => {
    let [url, request] = [new URL(start), init]
    for (let count = 0; count < MAX_REDIRECTS; count++) {
      const answer = await send(url, request)
      const text = await answer.text()
      const location = answer.headers.get('location')
      if (location === null) return { url, status: answer.status, headers: answer.headers, text }
      const next = new URL(location, url)
      if (!follow(next)) return { url: next, status: answer.status, headers: answer.headers, text }
      ;[url, request] = [next, {}]
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects, the last to ${url}`)
  }

  return {
    cookies,
    open,
    submit(page, fields = {}) {
      const form = /<form[^>]*action="([^"]*)"/.exec(page.text)?.[1]
      if (form === undefined) throw new Error(`no form at ${page.url}: ${page.text}`)
      const hidden = [...page.text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(
        ([, name, value]) => [name, value],
      )
      const body = new URLSearchParams({
        ...(Object.fromEntries(hidden) as Record<string, string>),
        ...fields,
      })
      const headers = {
        'content-type': 'application/x-www-form-urlencoded',
        origin: page.url.origin,
        'sec-fetch-site': 'same-origin',
      }
      return open(new URL(form.replaceAll('&amp;', '&'), page.url), {
        method: 'POST',
        headers,
        body: body.toString(),
      })
    },
  }
}
