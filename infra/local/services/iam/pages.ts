/** The pages of the embedded IAM: plain forms and one style sheet, without external resources. */

import { escaped } from '../../html.ts'

export const STYLE_PATH = '/style.css'

export const STYLE = `:root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif }
body { margin: 0 auto; padding: 2rem 1rem; max-width: 24rem }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
input, button { margin: .3rem 0 1rem; padding: .6rem }
code { font-size: 1.6em }
`

/**
 * No page may be framed, load external resources or run a script. The targets of forms are not restricted: the
 * sign-in ends with a redirect to the catalogue, another origin, which browsers treat as a target of the form.
 */
export const PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"

export const page = (title: string, content: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<link rel="stylesheet" href="${STYLE_PATH}">
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
${content}
</main>
</body>
</html>
`

export const loginPage = (action: string, users: readonly string[], wrong: boolean): string =>
  page(
    'Sign in',
    `<p>The IAM of this development installation. Its users: ${users.map(escaped).join(', ')}.</p>
${wrong ? '<p role="alert">The name or the password is wrong.</p>' : ''}
<form method="post" action="${escaped(action)}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>`,
  )

/** `form` is from oidc-provider, which escapes its contents. */
export const deviceCodePage = (form: string, problem: string | null): string =>
  page(
    'Sign in on the command line',
    `<p>${problem === null ? 'Enter the code that the command shows.' : escaped(problem)}</p>
${form}
<button type="submit" form="op.deviceInputForm">Continue</button>`,
  )

/**
 * For a user who opens the address with the code in it: one page asks whether it is the user's code, without a
 * second page that repeats the question.
 */
export const deviceLinkPage = (form: string): string =>
  page(
    'Sign in on the command line',
    `<p>Does the command show this code?</p>
${form}
<button type="submit" form="op.deviceInputForm" name="confirm" value="yes">Yes, continue</button>
<button type="submit" form="op.deviceInputForm" name="abort" value="yes">No, stop</button>`,
  )

export const deviceConfirmPage = (form: string, code: string): string =>
  page(
    'Sign in on the command line',
    `<p>Does the command show this code?</p>
<p><code>${escaped(code)}</code></p>
${form}
<button type="submit" form="op.deviceConfirmForm" autofocus>Yes, continue</button>
<button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">No, stop</button>`,
  )

export const logoutPage = (form: string): string =>
  page(
    'Sign out',
    `<p>Sign out of the IAM too?</p>
${form}
<button type="submit" form="op.logoutForm" name="logout" value="yes" autofocus>Yes, sign out</button>
<button type="submit" form="op.logoutForm">No, stay signed in</button>`,
  )
