// What a test suite does with the unmodified client, a JSON line for each step. Arguments: URL of the API, port of an echo server.
const net = require('node:net');
const { Toxiproxy } = require('toxiproxy-node-client');

const [url, upstream] = process.argv.slice(2);
const say = (step, more) => console.log(JSON.stringify({ step, ...more }));
const failed = (promise) => promise.then(() => 'no error', (error) => error.message);

function connect(proxy) {
  return new Promise((done, failed) => {
    const socket = net.connect(Number(proxy.listen.split(':').pop()), '127.0.0.1', () => done(socket));
    socket.once('error', failed);
  });
}

function ask(socket, line) {
  const began = performance.now();
  return new Promise((done) => {
    socket.once('data', (data) => done({ answer: data.toString(), ms: performance.now() - began }));
    socket.once('error', (error) => done({ error: error.code }));
    socket.write(line);
  });
}

async function main() {
  const toxiproxy = new Toxiproxy(url);
  say('version', { text: await toxiproxy.getVersion() });

  const proxy = await toxiproxy.createProxy({ name: 'line', listen: 'localhost:0', upstream: `localhost:${upstream}` });
  const socket = await connect(proxy);
  say('created', { proxy: proxy.toJson(), ...(await ask(socket, 'hello\n')) });
  say('twice', { error: await failed(toxiproxy.createProxy(proxy.toJson())) });

  let toxic = await proxy.addToxic({ type: 'latency', attributes: { latency: 200, jitter: 0 } });
  say('latency', { toxic: toxic.toJson(), ...(await ask(socket, 'slow\n')) });
  toxic = await toxic.update({ ...toxic.toJson(), toxicity: 0.5, attributes: { latency: 1 } });
  say('changed', { toxic: toxic.toJson(), again: (await proxy.getToxic('latency_downstream')).toJson() });
  await toxic.remove();
  say('removed', { error: await failed(proxy.getToxic('latency_downstream')) });
  say('wrong', { error: await failed(proxy.addToxic({ type: 'latency', attributes: { latency: -1 } })) });

  const reset = new Promise((done) => socket.once('error', (error) => done(error.code)));
  const down = await proxy.update({ ...proxy.toJson(), enabled: false });
  say('down', { enabled: down.enabled, open: await reset, fresh: await failed(connect(proxy)) });
  await proxy.addToxic({ type: 'timeout', attributes: { timeout: 0 } });
  await toxiproxy.reset();
  say('reset', await ask(await connect(proxy), 'back\n'));

  const populated = await toxiproxy.populate([
    { ...proxy.toJson(), enabled: true },
    { name: 'other', listen: 'localhost:0', upstream: `localhost:${upstream}` },
  ]);
  say('populated', { names: Object.keys(populated), listen: populated.line.listen, ...(await ask(await connect(populated.other), 'other\n')) });
  await proxy.remove();
  say('left', { names: Object.keys(await toxiproxy.getAll()), error: await failed(toxiproxy.get('line')) });
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
