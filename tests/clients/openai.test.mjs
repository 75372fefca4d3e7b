// The official client of OpenAI against a real Switchboard.
import assert from 'node:assert/strict';
import {after, before, beforeEach, test} from 'node:test';

import OpenAI from 'openai';
import {zodFunction, zodResponseFormat} from 'openai/helpers/zod';
import {z} from 'zod';

import {collect, start} from './stack.mjs';

const messages = [{role: 'user', content: 'hi'}];
const Weather = z.object({city: z.string(), degrees: z.number(), rain: z.boolean()});
const tools = [{
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object', properties: {city: {type: 'string'}}, required: ['city'],
      additionalProperties: false,
    },
  },
}];
let stack;
let client;

before(async () => {
  stack = await start();
  client = new OpenAI({apiKey: stack.key, baseURL: `${stack.url}/v1`, maxRetries: 0});
});
after(() => stack?.stop());
beforeEach(() => stack.reset());

// A request to be tried at the providers in this order.
function chat(more = {}) {
  return {model: stack.steady, messages, ...more};
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

// --- chat --------------------------------------------------------------------------------------

test('a chat is answered', async () => {
  const {data, response} = await client.chat.completions.create(chat()).withResponse();
  assert.equal(data.object, 'chat.completion');
  assert.equal(data.model, stack.steady);
  assert.equal(data.id, response.headers.get('x-generation-id'));
  assert.match(data.choices[0].message.content, /^p0 here/);
  assert.equal(data.choices[0].finish_reason, 'stop');
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert(data.usage.cost > 0);
});

test('a stream is answered chunk by chunk, with usage in the last one', async () => {
  const chunks = await collect(await client.chat.completions.create(chat({stream: true})));
  const text = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join('');
  assert.match(text, /^p0 here/);
  assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
  assert.equal(chunks.at(-1).usage.completion_tokens, 5);
  assert(chunks.some((chunk) => chunk.choices[0]?.finish_reason === 'stop'));
});

test('chunks come as the provider sends them', async () => {
  await stack.providers[0].behave({content: 'one two three four', hold_after: 2});
  const stream = await client.chat.completions.create(chat({stream: true}));
  let text = '';
  for await (const chunk of stream) {
    const delta = chunk.choices[0]?.delta?.content;
    if (text === '' && delta) await stack.providers[0].release(); // it waits for this one
    text += delta ?? '';
  }
  assert.equal(text, 'one two three four');
});

test('the helper for streams puts the answer together', async () => {
  const stream = client.chat.completions.stream(chat());
  const deltas = [];
  stream.on('content', (delta) => deltas.push(delta));
  const final = await stream.finalChatCompletion();
  assert.equal(deltas.join(''), final.choices[0].message.content);
  assert.equal(final.choices[0].finish_reason, 'stop');
  assert.equal((await stream.totalUsage()).completion_tokens, 5);
});

test('comments while a stream waits disturb nobody', async () => {
  await stack.providers[0].behave({hold_after: 0});
  await stack.providers[1].behave({first_token_ms: 200});
  const waiting = client.chat.completions.create(chat({stream: true}));
  await stack.providers[0].wait({held: 1});
  // ten intervals of comments go by in another request
  await client.chat.completions.create(chat({model: stack.fresh('same')}));
  await stack.providers[0].release();
  const {data, response} = await waiting.withResponse();
  assert.equal(response.headers.get('x-switchboard-endpoint'), null); // a comment came first
  const chunks = await collect(data);
  assert.match(chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join(''), /^p0 here/);
});

test('several choices are answered', async () => {
  const whole = await client.chat.completions.create(chat({n: 3}));
  assert.deepEqual(whole.choices.map((choice) => choice.index), [0, 1, 2]);
  const stream = client.chat.completions.stream(chat({n: 3}));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices.length, 3);
  for (const choice of final.choices) assert.equal(choice.finish_reason, 'stop');
});

test('fifty requests at once are answered', async () => {
  const answers = await Promise.all(Array.from({length: 50}, (_, i) => (
    client.chat.completions.create(chat({stream: i % 2 === 0})).then(
      (answer) => (i % 2 === 0 ? collect(answer) : [answer]),
    )
  )));
  for (const [first] of answers) assert.equal(first.model, stack.steady);
});

// --- tools and structure -----------------------------------------------------------------------

test('a tool is called', async () => {
  const answer = await client.chat.completions.create(chat({tools}));
  const [choice] = answer.choices;
  assert.equal(choice.finish_reason, 'tool_calls');
  const [call] = choice.message.tool_calls;
  assert.equal(call.function.name, 'weather');
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
});

test('a tool is called in a stream', async () => {
  const stream = client.chat.completions.stream(chat({tools}));
  const final = await stream.finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(final.choices[0].finish_reason, 'tool_calls');
  assert.match(call.id, /^call_/);
  assert.equal(call.function.name, 'weather');
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
});

for (const stream of [false, true]) {
  test(`the helper for tools runs to the end, ${stream ? 'streamed' : 'whole'}`, async () => {
    const asked = [];
    const runner = client.chat.completions.runTools(chat({
      stream,
      tools: [zodFunction({
        name: 'weather',
        parameters: z.object({city: z.string()}),
        function: ({city}) => {
          asked.push(city);
          return 'rain';
        },
      })],
    }));
    assert.match(await runner.finalContent(), /^p0 here/);
    assert.equal(asked.length, 1);
    const [, second] = await stack.providers[0].requests();
    const sent = JSON.parse(second.body).messages;
    assert.deepEqual(sent.map((message) => message.role), ['user', 'assistant', 'tool']);
  });
}

test('a schema is answered with what fits it', async () => {
  const schema = {
    type: 'object', required: ['city'], additionalProperties: false,
    properties: {city: {type: 'string'}},
  };
  const answer = await client.chat.completions.create(chat({
    response_format: {type: 'json_schema', json_schema: {name: 'place', strict: true, schema}},
  }));
  assert.deepEqual(Object.keys(JSON.parse(answer.choices[0].message.content)), ['city']);
});

test('the helpers for structure parse what comes', async () => {
  const format = {response_format: zodResponseFormat(Weather, 'weather')};
  const whole = await client.chat.completions.parse(chat(format));
  assert(Weather.safeParse(whole.choices[0].message.parsed).success);
  const stream = client.chat.completions.stream(chat(format));
  const final = await stream.finalChatCompletion();
  assert(Weather.safeParse(final.choices[0].message.parsed).success);
});

// --- the other interfaces ----------------------------------------------------------------------

test('embeddings are the same, packed or not', async () => {
  const request = {model: 'test/embed', input: ['one', 'two'], dimensions: 8};
  const packed = await client.embeddings.create(request); // base64 on the wire, by default
  const plain = await client.embeddings.create({...request, encoding_format: 'float'});
  assert.equal(packed.data.length, 2);
  for (const [i, item] of packed.data.entries()) {
    assert.equal(item.index, i);
    assert.equal(item.embedding.length, 8);
    item.embedding.forEach((value, at) => {
      assert(Math.abs(value - plain.data[i].embedding[at]) < 1e-6);
    });
  }
  assert(packed.usage.prompt_tokens > 0);
});

test('completions are answered, whole and streamed', async () => {
  const request = {model: stack.steady, prompt: 'Once upon', max_tokens: 4};
  const whole = await client.completions.create(request);
  assert(whole.choices[0].text);
  const parts = await collect(await client.completions.create({...request, stream: true}));
  assert.equal(parts.map((part) => part.choices[0].text).join(''), whole.choices[0].text);
  assert.equal(parts.at(-1).usage.completion_tokens, 4);
});

test('models are listed, and found one by one', async () => {
  const ids = (await collect(client.models.list())).map((model) => model.id);
  assert(ids.includes(stack.steady));
  assert(ids.includes('test/embed'));
  const one = await client.models.retrieve(stack.steady);
  assert.equal(one.id, stack.steady);
  assert.equal(one.object, 'model');
  assert.equal(one.owned_by, stack.steady.split('/')[0]);
  assert(Number.isInteger(one.created));
  const error = await rejection(client.models.retrieve('no/such'));
  assert(error instanceof OpenAI.NotFoundError);
});

// --- errors --------------------------------------------------------------------------------------

test('a wrong key is an AuthenticationError', async () => {
  const stranger = new OpenAI({apiKey: 'sb-wrong', baseURL: `${stack.url}/v1`, maxRetries: 0});
  const error = await rejection(stranger.chat.completions.create(chat()));
  assert(error instanceof OpenAI.AuthenticationError);
  assert.equal(error.status, 401);
  assert.equal(error.code, 401);
  assert.match(error.message, /key/);
  assert.deepEqual(await stack.received(), [0, 0, 0]);
});

test('an unknown model is a BadRequestError', async () => {
  const error = await rejection(client.chat.completions.create(chat({model: 'no/such'})));
  assert(error instanceof OpenAI.BadRequestError);
  assert.equal(error.code, 400);
  assert.match(error.message, /no\/such/);
});

test('an endpoint for nobody is a NotFoundError with the reasons', async () => {
  const request = ordered({provider: {zdr: true, ignore: ['p0']}});
  const error = await rejection(client.chat.completions.create(request));
  assert(error instanceof OpenAI.NotFoundError);
  assert.equal(error.code, 404);
  assert.equal(error.error.availability.retryable, false);
  assert.match(JSON.stringify(error.error), /p1/);
  assert.match(JSON.stringify(error.error), /zdr/);
});

test('limits everywhere are a RateLimitError with Retry-After', async () => {
  for (const provider of stack.providers) await provider.behave({fail: '429', retry_after: 60});
  const error = await rejection(client.chat.completions.create(ordered()));
  assert(error instanceof OpenAI.RateLimitError);
  assert.equal(error.code, 429);
  assert.equal(error.headers.get('retry-after'), '60');
});

test('failure everywhere is an InternalServerError of 503, and not tried again', async () => {
  for (const provider of stack.providers) await provider.behave({fail: '500'});
  const patient = new OpenAI({apiKey: stack.key, baseURL: `${stack.url}/v1`, maxRetries: 2});
  const error = await rejection(patient.chat.completions.create(ordered()));
  assert(error instanceof OpenAI.InternalServerError);
  assert.equal(error.status, 503);
  assert.equal(error.code, 503);
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.deepEqual(await stack.received(), [2, 1, 1]); // the gateway has tried enough
});

test('what a provider rejects comes with its words', async () => {
  await stack.providers[0].behave({fail: '422', error_message: 'tools[0] is odd'});
  const error = await rejection(client.chat.completions.create(ordered()));
  assert(error instanceof OpenAI.UnprocessableEntityError);
  assert.match(error.message, /tools\[0\] is odd/);
});

test('a failure behind comments is an error of the stream', async () => {
  for (const provider of stack.providers) await provider.behave({fail: '422', hold_after: 0});
  await stack.providers[1].behave({hold_after: null, fail: null, first_token_ms: 200});
  const waiting = client.chat.completions.create(ordered({stream: true}));
  await stack.providers[0].wait({held: 1});
  await client.chat.completions.create(chat({model: stack.fresh('same')}));
  await stack.providers[0].release();
  const error = await rejection(waiting.then(collect));
  assert(error instanceof OpenAI.APIError);
  assert.equal(error.code, 422);
});

test('a stream that breaks is an error after its content', async () => {
  await stack.providers[0].behave({content: 'one two three four', cut_after: 3});
  const stream = await client.chat.completions.create(ordered({stream: true}));
  let text = '';
  const error = await rejection((async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? '';
  })());
  assert.match(text, /^one/);
  assert(error instanceof OpenAI.APIError);
  assert.equal(error.code, 502);
  assert.match(error.message, /stream/);
});

test('a body over the limit is refused in words, however long it is', async () => {
  const content = 'x'.repeat(40 << 20);
  const request = chat({messages: [{role: 'user', content}]});
  const error = await rejection(client.chat.completions.create(request));
  assert.equal(error.status, 413);
  assert.equal(error.code, 413);
});

// --- leaving -------------------------------------------------------------------------------------

test('an abort in mid-stream reaches the provider', async () => {
  await stack.providers[0].behave({hold_after: 3});
  const stream = await client.chat.completions.create(chat({stream: true}));
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) stream.controller.abort();
  }
  await stack.providers[0].wait({streams_aborted: 1, open_requests: '0-0'});
  const [request] = await stack.providers[0].requests();
  assert.equal(request.outcome, 'aborted');
});

test('leaving the loop over a stream reaches the provider', async () => {
  await stack.providers[0].behave({hold_after: 3});
  for await (const chunk of await client.chat.completions.create(chat({stream: true}))) {
    if (chunk.choices[0]?.delta?.content) break;
  }
  await stack.providers[0].wait({streams_aborted: 1});
});

test('an abort before the answer reaches the provider', async () => {
  await stack.providers[0].behave({hang: 1});
  const controller = new AbortController();
  const waiting = rejection(client.chat.completions.create(chat(), {signal: controller.signal}));
  await stack.providers[0].wait({hanging: 1});
  controller.abort();
  assert(await waiting instanceof OpenAI.APIUserAbortError);
  await stack.providers[0].wait({aborted: 1, hanging: '0-0'});
});

test('a time-out of the client reaches the provider', async () => {
  await stack.providers[0].behave({hang: 1});
  const error = await rejection(client.chat.completions.create(chat(), {timeout: 100}));
  assert(error instanceof OpenAI.APIConnectionTimeoutError);
  await stack.providers[0].wait({aborted: 1});
});

// --- what is ours --------------------------------------------------------------------------------

test('the provider object goes through the client and is obeyed', async () => {
  const {data, response} = await client.chat.completions.create(
    chat({model: stack.fresh(), provider: {only: ['p2']}, switchboard: {explain: true}}),
  ).withResponse();
  assert.equal(response.headers.get('x-switchboard-endpoint'), 'p2');
  assert.equal(data.provider, 'Provider p2');
  assert.equal(data.switchboard_metadata.attempts[0].endpoint, 'p2');
  const [request] = await stack.providers[2].requests();
  assert.equal(JSON.parse(request.body).provider, undefined);
});
