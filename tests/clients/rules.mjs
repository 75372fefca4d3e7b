// The `provider` object, member by member: what an application sets, what its client must send,
// and who may then serve.  For a model of kind "varied" (tests/integration/catalog.py): p0, p1 and
// p2 for 1, 2 and 3 USD; quantized fp8, bf16 and mxfp8; p0 keeps nothing and trains on nothing;
// p2 does not know `seed`.
//
// set is in the words of the API; @openrouter/sdk has its own spelling, see camel().
export const RULES = [
  {name: 'order', set: {order: ['p2', 'p0']}, serves: ['p2']},
  {name: 'order by display name', set: {order: ['Provider p2']}, serves: ['p2']},
  {name: 'allow_fallbacks', set: {order: ['p1'], allow_fallbacks: false}, serves: ['p1'],
    removes: ['p0', 'p2'], step: 'order'},
  {name: 'only', set: {only: ['P1']}, serves: ['p1'], removes: ['p0', 'p2'], step: 'only'},
  {name: 'ignore', set: {ignore: ['p0', 'p2']}, serves: ['p1'], removes: ['p0', 'p2'],
    step: 'ignore'},
  {name: 'require_parameters', set: {require_parameters: true, sort: 'price', ignore: ['p0', 'p1']},
    seed: 1, serves: [], removes: ['p2'], step: 'parameters'},
  {name: 'require_parameters false', set: {require_parameters: false, order: ['p2']}, seed: 1,
    serves: ['p2']},
  {name: 'data_collection', set: {data_collection: 'deny'}, serves: ['p0'],
    removes: ['p1', 'p2'], step: 'data_collection'},
  {name: 'data_collection allow', set: {data_collection: 'allow', order: ['p1']}, serves: ['p1']},
  {name: 'zdr', set: {zdr: true}, serves: ['p0'], removes: ['p1', 'p2'], step: 'zdr'},
  {name: 'enforce_distillable_text', set: {enforce_distillable_text: true},
    serves: ['p0', 'p1', 'p2']},
  {name: 'enforce_distillable_text of another model', set: {enforce_distillable_text: true},
    kind: 'plain', serves: [], removes: ['p0', 'p1', 'p2'], step: 'enforce_distillable_text'},
  {name: 'quantizations', set: {quantizations: ['bf16', 'int4']}, serves: ['p1'],
    removes: ['p0', 'p2'], step: 'quantizations'},
  {name: 'quantizations by family', set: {quantizations: ['fp8'], ignore: ['p0']}, serves: ['p2'],
    removes: ['p1'], step: 'quantizations'},
  {name: 'sort', set: {sort: 'price'}, serves: ['p0']},
  {name: 'sort by throughput, of which nothing is known', set: {sort: 'throughput'},
    serves: ['p0', 'p1', 'p2']},
  {name: 'sort as an object', set: {sort: {by: 'price', partition: 'none'}, ignore: ['p0']},
    serves: ['p1']},
  {name: 'preferred_min_throughput excludes nobody',
    set: {preferred_min_throughput: {p50: 1e6, p99: 1e5}, sort: 'price'},
    serves: ['p0', 'p1', 'p2']},
  {name: 'preferred_max_latency excludes nobody',
    set: {preferred_max_latency: 0.000001, sort: {by: 'price'}}, serves: ['p0', 'p1', 'p2']},
  {name: 'max_price', set: {max_price: {prompt: '2', completion: '6'}, order: ['p2', 'p1']},
    serves: ['p1'], removes: ['p2'], step: 'max_price'},
  {name: 'max_price of each request and image',
    set: {max_price: {request: '0', image: '0'}, order: ['p2']}, serves: ['p2']},
  {name: 'nulls', set: {order: null, only: null, ignore: null, allow_fallbacks: null,
    require_parameters: null, data_collection: null, zdr: null, enforce_distillable_text: null,
    quantizations: null, sort: null, preferred_min_throughput: null, preferred_max_latency: null},
  serves: ['p0', 'p1', 'p2']},
];

// {allow_fallbacks: 1} -> {allowFallbacks: 1}; percentiles and names stay what they are.
export function camel(rules) {
  if (rules === null || typeof rules !== 'object' || Array.isArray(rules)) return rules;
  return Object.fromEntries(Object.entries(rules).map(([name, value]) =>
    [name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()), camel(value)]));
}
