// What a page does with the unmodified SDK and provider, a JSON line for each step. Arguments: URL of serve, token.
const { OpenFeature, ProviderEvents } = require('@openfeature/web-sdk');
const { OFREPWebProvider } = require('@openfeature/ofrep-web-provider');

const [url, token] = process.argv.slice(2);
const statuses = [];
const say = (step, more) => console.log(JSON.stringify({ step, ...more }));
const until = async (condition) => {
  while (!condition()) await new Promise((done) => setImmediate(done));
};

async function asked(...request) {
  const answer = await fetch(...request);
  statuses.push(answer.status);
  return answer;
}

function evaluated(client) {
  return {
    bool: client.getBooleanDetails('bool', false),
    text: client.getStringDetails('text', 'mine'),
    whole: client.getNumberDetails('whole', -1),
    object: client.getObjectDetails('object', {}),
    off: client.getBooleanDetails('off', true),
    code: client.getBooleanDetails('code', true),
    menu: client.getBooleanDetails('menu', false),
    split: client.getBooleanDetails('split', false),
    transport: client.getStringDetails('transport', 'mine'),
    unknown: client.getStringDetails('unknown', 'mine'),
    mismatch: client.getStringDetails('bool', 'mine'),
  };
}

async function main() {
  const headers = [['Authorization', `Bearer ${token}`]];
  const provider = new OFREPWebProvider({ baseUrl: url, headers, pollInterval: 100, fetchImplementation: asked });
  await OpenFeature.setProviderAndWait(provider, { targetingKey: 'ann', plan: 'pro' });
  const client = OpenFeature.getClient();
  const changes = [];
  client.addHandler(ProviderEvents.ConfigurationChanged, (event) => changes.push(event.flagsChanged));
  say('first', { flags: evaluated(client), statuses });

  await until(() => statuses.includes(304));
  say('polled', { flags: evaluated(client), statuses, changes });

  await until(() => changes.length > 0);
  say('changed', { flags: evaluated(client), changes });

  await OpenFeature.setContext({});
  say('without a key', { flags: evaluated(client) });
  await OpenFeature.close();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
