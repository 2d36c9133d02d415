/** The option and help text of all commands that use the catalogue's API. */
import { Option } from 'commander'

export const apiOption = () =>
  new Option('--api <url>', "address of the catalogue's API (default: CYGNET_API_URL)")

export const API_HELP = `
The command uses the catalogue's API at --api or CYGNET_API_URL, else that of the running local stack, else that of the last
\`cygnet login\`. It authenticates with CYGNET_API_TOKEN, else with the sign-in, else with the token of the local stack.`
