// A certified authorization server, with the clients that it is given as JSON in its first argument. Prints one JSON
// object a line: where it is, and what becomes of every token request. Ends when its standard input does.

import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const clients = JSON.parse(process.argv[2]);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
// Its advice to operators is no line of ours.
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
  provider.on('grant.error', (_, { error, error_detail }) => print({ granted: false, error, error_detail }));
  provider.on('server_error', (_, error) => print({ failed: error.message }));
  server.on('request', provider.callback());
  print({ token_url: `${issuer}/token` });
});
