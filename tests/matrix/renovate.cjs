// Ask Renovate's pypi datasource for the versions of a project: FOLDER REGISTRY HOST USERNAME PACKAGE; the password is
// in the environment. Prints {"releases": [...]} or null.
const { createRequire } = require('node:module');
const [folder, registryUrl, matchHost, username, packageName] = process.argv.slice(2);
const from = createRequire(`${folder}/`);
const { PypiDatasource } = from('renovate/dist/modules/datasource/pypi/index.js');
const hostRules = from('renovate/dist/util/host-rules');

async function main() {
  hostRules.add({ hostType: 'pypi', matchHost, username, password: process.env.OURS_PASSWORD, resolvedHost: undefined });
  const found = await new PypiDatasource().getReleases({ packageName, registryUrl });
  console.log(JSON.stringify(found));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
