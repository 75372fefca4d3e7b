// The official client of OpenRouter against a real Switchboard.  It checks every answer by
// generated validators, and rejects what does not fit.
import assert from 'node:assert/strict';
import {after, before, beforeEach, test} from 'node:test';

import {OpenRouter} from '@openrouter/sdk';
import {HTTPClient} from '@openrouter/sdk/lib/http';
import * as errors from '@openrouter/sdk/models/errors';

import {RULES, camel} from './rules.mjs';
import {collect, start} from './stack.mjs';

const messages = [{role: 'user', content: 'hi'}];
const tools = [{
  type: 'function',
  function: {
    name: 'weather',
    parameters: {type: 'object', properties: {city: {type: 'string'}}, required: ['city']},
  },
}];
let stack;
let client;

before(async () => {
  stack = await start();
  client = new OpenRouter({
    apiKey: stack.key, serverURL: `${stack.url}/api/v1`, retryConfig: {strategy: 'none'},
  });
});
after(() => stack?.stop());
beforeEach(() => stack.reset());

function chat(more = {}) {
  return {chatRequest: {model: stack.steady, messages, ...more}};
}

function ordered(more = {}) {
  return chat({model: stack.fresh(), provider: {order: ['p0', 'p1', 'p2']}, ...more});
}

async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('was not refused');
}

function textOf(chunks) {
  return chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join('');
}

// --- chat --------------------------------------------------------------------------------------

test('a chat is answered', async () => {
  const answer = await client.chat.send(chat());
  assert.equal(answer.model, stack.steady);
  assert.match(answer.id, /^gen-/);
  assert.match(answer.choices[0].message.content, /^p0 here/);
  assert.equal(answer.usage.totalTokens, answer.usage.promptTokens + 5);
  assert(answer.usage.cost > 0);
  assert.equal(answer.usage.isByok, false);
});

test('a stream is answered chunk by chunk, with usage in the last one', async () => {
  const chunks = await collect(await client.chat.send(chat({stream: true})));
  assert.match(textOf(chunks), /^p0 here/);
  assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
  assert.equal(chunks.at(-1).usage.completionTokens, 5);
});

test('answers that other providers shape otherwise pass the validators', async () => {
  for (const behaviour of [
    {compact: true}, {null_usage: true}, {compact: true, null_usage: true}, {no_usage: true},
    {no_done: true}, {reasoning: 2}, {refusal: true}, {cached_tokens: 3}, {finish_reason: 'length'},
  ]) {
    await stack.providers[0].reset();
    await stack.providers[0].behave(behaviour);
    const whole = await client.chat.send(chat());
    assert.equal(whole.choices.length, 1, JSON.stringify(behaviour));
    const chunks = await collect(await client.chat.send(chat({stream: true})));
    assert(chunks.at(-1).usage, JSON.stringify(behaviour));
  }
});

test('comments while a stream waits disturb nobody', async () => {
  await stack.providers[0].behave({hold_after: 0});
  await stack.providers[1].behave({first_token_ms: 200});
  const waiting = client.chat.send(chat({stream: true}));
  await stack.providers[0].wait({held: 1});
  // ten intervals of comments go by in another request
  await client.chat.send(chat({model: stack.fresh('same')}));
  await stack.providers[0].release();
  assert.match(textOf(await collect(await waiting)), /^p0 here/);
});

test('a tool is called, whole and streamed', async () => {
  const whole = await client.chat.send(chat({tools}));
  assert.equal(whole.choices[0].finishReason, 'tool_calls');
  const [call] = whole.choices[0].message.toolCalls;
  assert.equal(call.function.name, 'weather');
  const chunks = await collect(await client.chat.send(chat({tools, stream: true})));
  const parts = chunks.flatMap((chunk) => chunk.choices[0]?.delta?.toolCalls ?? []);
  assert.equal(parts[0].function.name, 'weather');
  const text = parts.map((part) => part.function?.arguments ?? '').join('');
  assert.deepEqual(JSON.parse(text), JSON.parse(call.function.arguments));
});

test('a schema is answered with what fits it', async () => {
  const schema = {type: 'object', required: ['city'], properties: {city: {type: 'string'}}};
  const answer = await client.chat.send(chat({
    responseFormat: {type: 'json_schema', jsonSchema: {name: 'place', strict: true, schema}},
  }));
  assert.deepEqual(Object.keys(JSON.parse(answer.choices[0].message.content)), ['city']);
});

// --- routing -------------------------------------------------------------------------------------

test('the provider object is obeyed', async () => {
  const only = await client.chat.send(chat({model: stack.fresh(), provider: {only: ['p2']}}));
  assert.match(only.choices[0].message.content, /^p2 here/);
  const cheap = await client.chat.send(chat({
    model: stack.fresh(),
    provider: {
      sort: 'price', ignore: ['p0'], allowFallbacks: true, dataCollection: 'allow',
      requireParameters: true, maxPrice: {prompt: '5', completion: '20'},
      preferredMinThroughput: {p50: 1}, preferredMaxLatency: 10, quantizations: ['unknown'],
    },
  }));
  assert.match(cheap.choices[0].message.content, /^p1 here/);
  const zdr = await client.chat.send(chat({model: stack.fresh(), provider: {zdr: true}}));
  assert.match(zdr.choices[0].message.content, /^p0 here/);
});

for (const rule of RULES) {
  test(`provider: ${rule.name}`, async () => {
    let sent;
    let told;
    const httpClient = new HTTPClient();
    httpClient.addHook('beforeRequest', async (request) => {
      sent = await request.clone().json();
    });
    httpClient.addHook('response', async (response) => {
      told = await response.clone().json();
    });
    const watched = new OpenRouter({
      apiKey: stack.key, serverURL: `${stack.url}/api/v1`, httpClient,
      retryConfig: {strategy: 'none'},
    });
    const request = {
      ...chat({model: stack.fresh(rule.kind ?? 'varied'), provider: camel(rule.set),
        seed: rule.seed}),
      xOpenRouterMetadata: 'enabled',
    };
    const outcome = await watched.chat.send(request).then(
      (answer) => answer.choices[0].message.content.slice(0, 2),
      (error) => error);
    assert.deepEqual(sent.provider, rule.set); // what these tests stand for
    if (rule.serves.length > 0) {
      assert(rule.serves.includes(outcome), `${outcome}`);
    } else {
      assert(outcome instanceof errors.NotFoundResponseError, outcome);
    }
    const steps = told.openrouter_metadata.funnel;
    const step = steps.find((one) => one.step === rule.step);
    assert.deepEqual((step?.removed ?? []).map((one) => one.endpoint), rule.removes ?? []);
  });
}

test('an unknown member of provider is named', async () => {
  const error = await rejection(client.chat.send(chat({
    provider: {maxPrice: {prompt: 'cheap'}},
  })));
  assert(error instanceof errors.BadRequestResponseError);
  assert.match(error.message, /provider\.max_price\.prompt: "cheap" is not allowed/);
});

test('fallback models are tried in order', async () => {
  await stack.providers[0].behave({fail: '500'});
  const models = [stack.fresh('single'), stack.fresh('same')];
  const answer = await client.chat.send(chat({model: undefined, models}));
  assert.equal(answer.model, models[1]);
});

test('the metadata of the router passes the validators', async () => {
  await stack.providers[0].behave({fail: '500'});
  const request = {...ordered(), xOpenRouterMetadata: 'enabled'};
  const {openrouterMetadata: whole} = await client.chat.send(request);
  assert.equal(whole.requested, request.chatRequest.model);
  assert.equal(whole.attempt, 2);
  assert.deepEqual(whole.attempts.map((one) => [one.provider, one.status]),
    [['Provider p0', 500], ['Provider p1', 200]]);
  assert.equal(whole.endpoints.total, 3);
  assert.deepEqual(whole.endpoints.available.filter((one) => one.selected)
    .map((one) => one.provider), ['Provider p1']);
  const streamed = {...ordered({stream: true}), xOpenRouterMetadata: 'enabled'};
  const chunks = await collect(await client.chat.send(streamed));
  assert.equal(chunks.at(-1).openrouterMetadata.attempt, 2);
});

// --- the catalogue -------------------------------------------------------------------------------

test('models are listed and counted, and every member is valid', async () => {
  const ids = [];
  for await (const page of await client.models.list()) {
    ids.push(...page.result.data.map((model) => model.id));
  }
  assert(ids.includes(stack.steady));
  assert.equal(new Set(ids).size, ids.length);
  const {data} = await client.models.count();
  assert.equal(data.count, ids.length);
});

test('a model, its endpoints, providers and private endpoints are valid', async () => {
  const [author, slug] = stack.steady.split('/');
  const model = (await client.models.get({author, slug})).data;
  assert.equal(model.id, stack.steady);
  assert.equal(model.pricing.prompt, '0.000001');
  assert.equal(model.contextLength, 100_000);
  const {endpoints} = (await client.endpoints.list({author, slug})).data;
  assert.deepEqual(endpoints.map((endpoint) => endpoint.tag), ['p0']);
  const providers = (await client.providers.list()).data;
  assert(providers.some((provider) => provider.slug === 'p0' && provider.headquarters === 'DE'));
  const zdr = (await client.endpoints.listZdrEndpoints()).data;
  assert(zdr.length > 0);
  assert(zdr.every((endpoint) => endpoint.tag === 'p0'));
});

test('embeddings are answered', async () => {
  const answer = await client.embeddings.generate({
    requestBody: {model: 'test/embed', input: ['one', 'two'], dimensions: 8},
  });
  assert.equal(answer.data.length, 2);
  assert.equal(answer.data[1].embedding.length, 8);
  assert(answer.usage.promptTokens > 0);
});

// --- errors --------------------------------------------------------------------------------------

test('a wrong key is an UnauthorizedResponseError', async () => {
  const stranger = new OpenRouter({apiKey: 'sb-wrong', serverURL: `${stack.url}/api/v1`});
  const error = await rejection(stranger.chat.send(chat()));
  assert(error instanceof errors.UnauthorizedResponseError);
  assert.equal(error.error.code, 401);
  assert.match(error.message, /key/);
});

test('an unknown model is a BadRequestResponseError', async () => {
  const error = await rejection(client.chat.send(chat({model: 'no/such'})));
  assert(error instanceof errors.BadRequestResponseError);
  assert.equal(error.error.code, 400);
  assert.match(error.message, /no\/such/);
});

test('an endpoint for nobody is a NotFoundResponseError with the reasons', async () => {
  const request = chat({model: stack.fresh(), provider: {zdr: true, ignore: ['p0']}});
  const error = await rejection(client.chat.send(request));
  assert(error instanceof errors.NotFoundResponseError);
  assert.equal(error.error.code, 404);
  assert.match(error.body, /zdr/);
});

test('limits everywhere are a TooManyRequestsResponseError', async () => {
  for (const provider of stack.providers) await provider.behave({fail: '429', retry_after: 60});
  const error = await rejection(client.chat.send(ordered()));
  assert(error instanceof errors.TooManyRequestsResponseError);
  assert.equal(error.headers.get('retry-after'), '60');
});

test('failure everywhere is a ServiceUnavailableResponseError', async () => {
  for (const provider of stack.providers) await provider.behave({fail: '500'});
  const request = {...ordered(), xOpenRouterMetadata: 'enabled'};
  const error = await rejection(client.chat.send(request));
  assert(error instanceof errors.ServiceUnavailableResponseError);
  assert.equal(error.error.code, 503);
  assert.equal(error.openrouterMetadata.attempts.length, 4);
});

test('broken offers everywhere are a BadGatewayResponseError', async () => {
  for (const provider of stack.providers) await provider.behave({fail: '401'});
  const error = await rejection(client.chat.send(ordered()));
  assert(error instanceof errors.BadGatewayResponseError);
  assert.equal(error.error.metadata.provider_code, '401');
});

test('a body that is too large is a PayloadTooLargeResponseError', async () => {
  for (const size of [33, 36, 40]) {
    const content = 'x'.repeat(size << 20);
    const error = await rejection(client.chat.send(chat({messages: [{role: 'user', content}]})));
    assert(error instanceof errors.PayloadTooLargeResponseError, error);
  }
});

test('a stream that breaks ends with an error in its last chunk', async () => {
  for (const behaviour of [{cut_after: 3}, {error_event_after: 3}, {end_after: 3}]) {
    await stack.providers[0].reset();
    await stack.providers[0].behave({content: 'one two three four', ...behaviour});
    const chunks = await collect(await client.chat.send(ordered({stream: true})));
    assert.match(textOf(chunks), /^one/);
    const last = chunks.at(-1);
    assert.equal(last.error.code, 502);
    assert.equal(last.error.metadata.errorType, 'provider_unavailable');
    assert.equal(last.choices[0].finishReason, 'error');
  }
});

test('a failure behind comments is an error chunk', async () => {
  for (const provider of stack.providers) await provider.behave({fail: '401', hold_after: 0});
  const request = {...ordered({stream: true}), xOpenRouterMetadata: 'enabled'};
  // an error may come while the providers are led: it is caught from the start
  const waiting = client.chat.send(request).then(collect, (error) => error);
  for (const provider of stack.providers) {
    await provider.wait({held: 1});
    await provider.behave({hold_after: null});
    await provider.release();
  }
  const outcome = await waiting;
  if (Array.isArray(outcome)) { // a comment came in time: usually
    const [chunk] = outcome.slice(-1);
    assert.equal(chunk.error.code, 502);
    assert.equal(chunk.error.metadata.providerCode, '401');
    assert.equal(chunk.openrouterMetadata.attempts.length, 3);
  } else {
    assert(outcome instanceof errors.BadGatewayResponseError);
  }
});

// --- leaving -------------------------------------------------------------------------------------

test('an abort in mid-stream reaches the provider', async () => {
  await stack.providers[0].behave({hold_after: 3});
  const controller = new AbortController();
  const options = {fetchOptions: {signal: controller.signal}};
  const stream = await client.chat.send(chat({stream: true}), options);
  await rejection((async () => {
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta?.content) controller.abort();
    }
  })());
  await stack.providers[0].wait({streams_aborted: 1, open_requests: '0-0'});
});

test('leaving the loop over a stream reaches the provider', async () => {
  await stack.providers[0].behave({hold_after: 3});
  for await (const chunk of await client.chat.send(chat({stream: true}))) {
    if (chunk.choices[0]?.delta?.content) break;
  }
  await stack.providers[0].wait({streams_aborted: 1});
});

// --- what the control plane knows ----------------------------------------------------------------

test('a generation is found as soon as it is answered', async () => {
  const answer = await client.chat.send(chat());
  const {data} = await client.generations.getGeneration({id: answer.id});
  assert.equal(data.id, answer.id);
  assert.equal(data.model, stack.steady);
  assert.equal(data.providerName, 'p0');
  assert.equal(data.streamed, false);
  assert.equal(data.tokensCompletion, 5);
  assert.equal(data.totalCost, answer.usage.cost);
  const error = await rejection(client.generations.getGeneration({id: 'gen-1-nobody'}));
  assert(error instanceof errors.NotFoundResponseError);
});

test('the key and its credits are told', async () => {
  const {data: key} = await client.apiKeys.getCurrentKeyMetadata();
  assert.match(key.label, /^sb-/);
  const {data: credits} = await client.credits.getCredits();
  assert.equal(typeof credits.totalUsage, 'number');
});
