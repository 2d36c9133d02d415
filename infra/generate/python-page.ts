/**
 * docs/python.md: the use of the catalogue from Python and ROOT, for analysts. Its programs are the files in
 * docs/python, which tests run.
 */

/** @param fileNamed the text of a file in docs/python. */
export function pythonPage(fileNamed: (name: string) => string): string {
  const shown = (name: string) =>
    `[docs/python/${name}](python/${name}):\n\n\`\`\`python\n${fileNamed(name).trimEnd()}\n\`\`\``
  return `# From Python and ROOT

Generated from docs/python by \`npm run generate\`; the tests run these files.

Two variables say which catalogue, and who asks. An operator makes a token with \`cygnet token create --scope read:LNGS link:LNGS\`; none is
needed for what everybody may see there.

\`\`\`sh
export CYGNET_API_URL=https://cygnet.example.org
export CYGNET_API_TOKEN=cyg_…
\`\`\`

## Find runs, get links, fetch files

No package is needed. The API's own page lists all filters: any parameter of a run, times, completeness, where the copies are.

${shown('catalogue.py')}

\`python3 catalogue.py LNGS 12345\` fetches a run. For many or large files there is \`cygnet get --range 12000..12100 --tag LNGS\`, which goes
on after an interruption, and takes several pieces of a file at once.

${shown('with_requests.py')}

A link is for whoever has it, until it ends: keep it out of notebooks that are shared. It takes no other credentials: a store refuses a
link that comes with an Authorization header.

## Runs as a table of pandas

${shown('runs_table.py')}

The library of the experiment, \`cygno.read_cygno_logbook\`, works as it did: the address of its logbook leads here
(\`/cygno_sql_query.php\`), and so do the addresses of run files that it builds (\`/v1/AUTH_…/cygno-data/LNGS/run12345.mid.gz\`). Since it sends
no token, that is for what everybody may see (\`CYGNET_ANONYMOUS_SCOPES=read:*,link:*\`).

## ROOT files

Raw runs are MIDAS files: fetch them whole. ROOT files can be read in place, by any link to them:

${shown('open_root.py')}

With ROOT itself, in C++ \`TFile::Open(link)\`, in Python:

${shown('open_tfile.py')}

Both read in ranges; a link must live as long as the file is read.
`
}
