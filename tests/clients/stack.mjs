// A whole Switchboard for one test file, and its simulated providers.
//
//     const stack = await start();
//     after(() => stack.stop());
//     beforeEach(() => stack.reset());
//     stack.providers[0].behave({fail: '500'});
//
// The programs are started by ./stack, which ends them when this process does.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

const PATIENCE = 60_000; // milliseconds for what should take none

// A simulated provider; see tests/sim/README.md.
class Provider {
  constructor(url) {
    this.url = url;
  }

  async control(method, path, body) {
    const answer = await fetch(`${this.url}/_sim/${path}`, {
      method, body: body && JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.json();
  }

  behave(knobs) {
    return this.control('POST', 'behaviour', knobs);
  }

  // Each is used for one request, in this order.
  script(...behaviours) {
    return this.control('POST', 'behaviour', {scripted: behaviours});
  }

  release() {
    return this.control('POST', 'release');
  }

  // Until each counter is at least a number, or in a range "from-to".
  wait(counters) {
    const query = new URLSearchParams({...counters, timeout_ms: PATIENCE});
    return this.control('GET', `wait?${query}`);
  }

  async requests() {
    return (await this.control('GET', 'requests')).requests;
  }

  async reset() {
    await this.control('DELETE', 'behaviour');
    await this.release();
    await this.control('DELETE', 'requests');
  }
}

class Stack {
  constructor(child, facts) {
    this.child = child;
    this.url = facts.url;
    this.key = facts.key;
    this.steady = facts.steady; // a model that no test breaks
    this.providers = facts.providers.map((url) => new Provider(url));
    this.models = facts.models;
  }

  // A model that no test has broken yet, served by all providers ('plain') or by the first.
  fresh(kind = 'plain') {
    const model = this.models[kind].shift();
    assert(model, `all ${kind} models are used: raise their number in catalog.py`);
    return model;
  }

  async reset() {
    await Promise.all(this.providers.map((provider) => provider.reset()));
  }

  // How many requests each provider got.
  async received() {
    const all = await Promise.all(this.providers.map((provider) => provider.requests()));
    return all.map((requests) => requests.length);
  }

  // Ends everything, and checks that it ended well.
  async stop() {
    const ended = once(this.child, 'exit');
    this.child.ref();
    this.child.stdin.end();
    const [status] = await ended;
    assert.equal(status, 0, 'the stack ended badly');
  }
}

export async function start() {
  const path = fileURLToPath(new URL('stack', import.meta.url));
  const child = spawn(path, {stdio: ['pipe', 'pipe', 'inherit']});
  const lines = createInterface({input: child.stdout});
  const [line] = await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(([status]) => {
      throw new Error(`the stack did not start: exit ${status}`);
    }),
  ]);
  // Node 18 runs the last hooks when nothing else keeps the process, so this must not.
  for (const handle of [child, child.stdin, child.stdout]) handle.unref();
  return new Stack(child, JSON.parse(line));
}

export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
