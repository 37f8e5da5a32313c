// A certified authorization server, `oidc-provider`. Its first argument is a JSON list of its
// clients. It prints one JSON object per line: first its token URL, then the result of every token
// request. It exits when its standard input closes.

import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const clients = JSON.parse(process.argv[2]);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
// Keep the advice of `oidc-provider` to operators off the standard output.
console.info = console.warn = console.error;

process.stdin.on('end', () => process.exit()).resume();

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: clients.map((client) => ({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'private_key_jwt',
      ...client,
    })),
    clientAuthMethods: ['private_key_jwt'],
    clockTolerance: 0,
    enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  });
  provider.on('grant.success', () => print({ granted: true }));
  provider.on('grant.error', (_, { error, error_detail }) => {
    print({ granted: false, error, error_detail });
  });
  provider.on('server_error', (_, error) => print({ failed: error.message }));
  server.on('request', provider.callback());
  print({ token_url: `${issuer}/token` });
});
