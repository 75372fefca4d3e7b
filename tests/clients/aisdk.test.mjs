// The provider of OpenRouter for the AI SDK against a real Switchboard.
import assert from 'node:assert/strict';
import {after, before, beforeEach, test} from 'node:test';

import {createOpenRouter} from '@openrouter/ai-sdk-provider';
import {APICallError, Output, generateObject, generateText, stepCountIs, streamText, tool} from 'ai';
import {z} from 'zod';

import {RULES} from './rules.mjs';
import {collect, start} from './stack.mjs';

const Weather = z.object({city: z.string(), degrees: z.number(), rain: z.boolean()});
let stack;
let openrouter;
let sent; // the body of the last request

before(async () => {
  stack = await start();
  openrouter = createOpenRouter({
    apiKey: stack.key, baseURL: `${stack.url}/api/v1`, compatibility: 'strict',
    fetch: (url, options) => {
      sent = JSON.parse(options.body);
      return fetch(url, options);
    },
  });
});
after(() => stack?.stop());
beforeEach(() => stack.reset());

// What the functions of the SDK take: no retries of its own.
function call(more = {}, settings = {}, model = stack.steady) {
  return {model: openrouter.chat(model, settings), prompt: 'hi', maxRetries: 0, ...more};
}

function weather(execute) {
  return {weather: tool({description: 'tells it', inputSchema: z.object({city: z.string()}),
    execute})};
}

async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('was not refused');
}

// --- text --------------------------------------------------------------------------------------

test('generateText gives text, usage, cost and who served', async () => {
  const result = await generateText(call());
  assert.match(result.text, /^p0 here/);
  assert.equal(result.finishReason, 'stop');
  assert.equal(result.usage.outputTokens, 5);
  assert.match(result.response.id, /^gen-/);
  assert.equal(result.response.modelId, stack.steady);
  const told = result.providerMetadata.openrouter;
  assert.equal(told.provider, 'Provider p0');
  assert(told.usage.cost > 0);
});

test('streamText gives it part by part', async () => {
  const result = streamText(call());
  const parts = await collect(result.textStream);
  assert(parts.length > 1);
  assert.match(parts.join(''), /^p0 here/);
  assert.equal(await result.finishReason, 'stop');
  assert.equal((await result.usage).outputTokens, 5);
  assert((await result.providerMetadata).openrouter.usage.cost > 0);
  assert.equal(sent.stream, true);
});

test('reasoning comes beside the text', async () => {
  await stack.providers[0].behave({reasoning: 3});
  const result = await generateText(call());
  assert(result.reasoningText.length > 0);
  assert.match(result.text, /^p0 here/);
  const stream = streamText(call());
  await stream.consumeStream();
  assert((await stream.reasoningText).length > 0);
});

test('answers that other providers shape otherwise are taken', async () => {
  for (const behaviour of [{compact: true}, {null_usage: true}, {no_usage: true}, {no_done: true},
    {refusal: true}, {finish_reason: 'length'}, {cached_tokens: 3}]) {
    await stack.providers[0].reset();
    await stack.providers[0].behave(behaviour);
    const whole = await generateText(call());
    assert.equal(whole.usage.outputTokens, 5, JSON.stringify(behaviour));
    const stream = streamText(call());
    await stream.consumeStream();
    assert.equal((await stream.usage).outputTokens, 5, JSON.stringify(behaviour));
  }
});

test('comments while a stream waits disturb nobody', async () => {
  await stack.providers[0].behave({hold_after: 0});
  await stack.providers[1].behave({first_token_ms: 200});
  const result = streamText(call());
  const text = result.consumeStream().then(() => result.text);
  await stack.providers[0].wait({held: 1});
  await generateText(call({}, {}, stack.fresh('same'))); // ten intervals of comments
  await stack.providers[0].release();
  assert.match(await text, /^p0 here/);
});

// --- tools and structure -------------------------------------------------------------------------

test('a tool is called and its result answered', async () => {
  const cities = [];
  const tools = weather(({city}) => {
    cities.push(city);
    return {degrees: 20};
  });
  const result = await generateText(call({tools, stopWhen: stepCountIs(2)}));
  assert.equal(cities.length, 1);
  assert.equal(result.steps.length, 2);
  assert.equal(result.steps[0].finishReason, 'tool-calls');
  assert.equal(result.steps[0].toolResults[0].output.degrees, 20);
  assert.match(result.text, /^p0 here/);
  assert.equal(sent.messages.at(-1).role, 'tool');
});

test('a tool is called in a stream', async () => {
  const cities = [];
  const result = streamText(call({
    tools: weather(({city}) => {
      cities.push(city);
      return 'sunny';
    }),
    stopWhen: stepCountIs(2),
  }));
  await result.consumeStream();
  assert.equal(cities.length, 1);
  assert.equal((await result.steps).length, 2);
  assert.match(await result.text, /^p0 here/);
});

test('structured output fits its schema', async () => {
  const {output} = await generateText(call({output: Output.object({schema: Weather})}));
  assert.deepEqual(Object.keys(output).sort(), ['city', 'degrees', 'rain']);
  assert.equal(sent.response_format.type, 'json_schema');
  const {object} = await generateObject(call({schema: Weather}));
  assert.equal(typeof object.degrees, 'number');
  const stream = streamText(call({output: Output.object({schema: Weather})}));
  const parts = await collect(stream.partialOutputStream);
  assert.equal(typeof parts.at(-1).rain, 'boolean');
});

// --- routing -------------------------------------------------------------------------------------

for (const rule of RULES) {
  test(`provider: ${rule.name}`, async () => {
    const settings = {provider: rule.set};
    const model = stack.fresh(rule.kind ?? 'varied');
    const outcome = await generateText(call({seed: rule.seed}, settings, model)).then(
      (result) => result.text.slice(0, 2), (error) => error);
    assert.deepEqual(sent.provider, rule.set);
    if (rule.serves.length > 0) {
      assert(rule.serves.includes(outcome), `${outcome}`);
      return;
    }
    assert(APICallError.isInstance(outcome), outcome);
    assert.equal(outcome.statusCode, 404);
    const {error} = JSON.parse(outcome.responseBody);
    const step = error.metadata.funnel.find((one) => one.step === rule.step);
    assert.deepEqual(step.removed.map((one) => one.endpoint), rule.removes);
  });
}

test('rules of one call go before those of the model', async () => {
  const providerOptions = {openrouter: {provider: {order: ['p2']}}};
  const settings = {provider: {order: ['p1']}};
  const {text} = await generateText(call({providerOptions}, settings, stack.fresh()));
  assert.match(text, /^p2 here/);
});

test('fallback models and members of ours go through extraBody', async () => {
  await stack.providers[0].behave({fail: '500'});
  const models = [stack.fresh('single'), stack.fresh('same')];
  const settings = {models, extraBody: {switchboard: {session_id: 's', explain: true}}};
  const result = await generateText(call({}, settings, models[0]));
  assert.equal(result.response.modelId, models[1]);
  assert.equal(sent.switchboard.session_id, 's');
  const told = result.response.body.switchboard_metadata;
  assert.equal(told.strategy, 'fallback');
});

// --- errors --------------------------------------------------------------------------------------

test('failures of providers are errors with a status, and not tried again', async () => {
  for (const [fail, status] of [['500', 503], ['401', 502], ['422', 422]]) {
    for (const provider of stack.providers) await provider.behave({fail});
    const settings = {provider: {order: ['p0', 'p1', 'p2']}};
    const error = await rejection(generateText(call({}, settings, stack.fresh())));
    assert(APICallError.isInstance(error), error);
    assert.equal(error.statusCode, status);
    assert.equal(JSON.parse(error.responseBody).error.code, status);
  }
});

test('a stream that breaks after content is an error behind it', async () => {
  await stack.providers[0].behave({content: 'one two three four', cut_after: 3});
  const errors = [];
  const result = streamText(call({onError: ({error}) => errors.push(error)}, {},
    stack.fresh('single')));
  const text = (await collect(result.textStream)).join('');
  assert.match(text, /^one/);
  assert.equal(errors.length, 1);
  assert.equal(await result.finishReason, 'error');
});

test('an abort in mid-stream reaches the provider', async () => {
  await stack.providers[0].behave({hold_after: 3});
  const controller = new AbortController();
  const result = streamText(call({abortSignal: controller.signal}));
  for await (const part of result.fullStream) {
    if (part.type === 'text-delta') controller.abort();
  }
  await stack.providers[0].wait({streams_aborted: 1, open_requests: '0-0'});
});
