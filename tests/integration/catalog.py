"""The catalogue of the data plane's tests, and models that no test has used before.

Breakers and cooldowns belong to an endpoint, so that a test which breaks endpoints takes a model
of its own instead of a worker of its own.
"""
import itertools

PARAMETERS = ["temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed",
              "tools", "tool_choice", "response_format", "structured_outputs", "reasoning",
              "reasoning_effort", "logprobs"]
CONTEXT = 100_000
LARGE_CONTEXT = 1_000_000

# kind: its endpoints in the order of their prices, context length, how many
KINDS = {
    "plain": (["p0", "p1", "p2"], CONTEXT, 240),   # three good providers
    "large": (["p1"], LARGE_CONTEXT, 20),          # one, with room
    "same": (["p1"], CONTEXT, 60),                 # one, with as much room as plain
    "single": (["p0"], CONTEXT, 100),              # nothing to fall back to
    "refused": (["refused", "p1"], CONTEXT, 4),    # nobody listens at the first
    "tls": (["tls", "p1"], CONTEXT, 4),            # the first speaks no TLS
    "dns": (["dns", "p1"], CONTEXT, 2),            # the first has no address
    "secure": (["secure", "p1"], CONTEXT, 20),     # the first speaks TLS
    "odd": (["odd", "p1"], CONTEXT, 100),          # the first is a test itself
    "mute": (["mute", "p1"], CONTEXT, 4),          # the first never says a word of TLS
    "limited": (["p0", "p1", "p2"], CONTEXT, 4),   # what the key "limited" may use
    "narrow": (["narrow", "p1"], CONTEXT, 4),      # one connection, two requests at a time
    "tight": (["tight", "p1"], CONTEXT, 4),        # one connection
    "tight_only": (["tight"], CONTEXT, 4),         # and nothing to fall back to
    "narrow_only": (["narrow"], CONTEXT, 4),       # likewise
    "steady": (["p0"], CONTEXT, 1),                # STEADY
    "varied": (["p0", "p1", "p2"], CONTEXT, 40),   # VARIED
}
STEADY = "steady/000"  # of a provider that no test makes fail at it


# What a key has beside its secret.
MORE = {"disabled": {"disabled": True}, "limited": {"policy": "limited"},
        "expired": {"expires_at": "2020-01-01T00:00:00Z"}}


def claim(value):
    return {"value": value, "evidence": "https://example.com/evidence"}


# What tells the endpoints of a varied model apart, beside their prices: for rules that look at it.
VARIED = {
    "p0": {"quantization": "fp8", "no_training": claim("yes")},
    "p1": {"quantization": "bf16", "no_training": claim("no")},
    "p2": {"quantization": "mxfp8", "no_training": claim("no"),
           "supported_parameters": [name for name in PARAMETERS if name != "seed"]},
}


def provider(slug, url, **more):
    return {"slug": slug, "name": f"Provider {slug}", "dialect": "openai", "base_url": url,
            "credential": {"value": f"house-{slug}"}, **more}


def endpoint(model, slug, price, **more):
    return {"model": model, "provider": slug, "tag": slug, "upstream_model": f"upstream-{slug}",
            "pricing": {"prompt": str(price), "completion": str(price * 3)}, **more}


def build(ports, secure_port, ca_file, odd_port, refused_port, keys):
    """ports: of the simulated providers p0, p1 and p2; keys: name -> secret."""
    providers = [provider(f"p{i}", f"http://127.0.0.1:{port}/v1", headquarters=country)
                 for i, (port, country) in enumerate(zip(ports, ["DE", "US", "FR"]))]
    providers += [
        provider("refused", f"http://127.0.0.1:{refused_port}/v1"),
        provider("tls", f"https://127.0.0.1:{ports[0]}/v1"),
        provider("dns", "http://nowhere.invalid/v1"),
        provider("odd", f"http://127.0.0.1:{odd_port}/v1"),
        provider("mute", f"https://127.0.0.1:{odd_port}/v1"),
        provider("narrow", f"http://127.0.0.1:{ports[2]}/v1", max_connections=1, max_in_flight=2),
        provider("tight", f"http://127.0.0.1:{ports[2]}/v1", max_connections=1),
        provider("secure", f"https://127.0.0.1:{secure_port}/v1", ca_file=str(ca_file)),
    ]
    regions = {"p0": "DE", "p1": "US", "p2": "FR"}
    models, endpoints = [], []
    for kind, (slugs, context, count) in KINDS.items():
        for i in range(count):
            model = f"{kind}/{i:03}"
            models.append({"id": model, "name": f"Test model {kind} {i}",
                           "context_length": context, "input_modalities": ["text", "image"],
                           "output_modalities": ["text"],
                           "distillable": claim("yes" if kind == "varied" else "no")})
            for price, slug in enumerate(slugs, 1):
                traits = {"region": regions.get(slug, "US"), "context_length": context,
                          "max_completion_tokens": 50_000, "supported_parameters": PARAMETERS,
                          "zdr": claim("yes" if slug == "p0" else "no"),
                          **(VARIED[slug] if kind == "varied" else {})}
                endpoints.append(endpoint(model, slug, price, **traits))
    models.append({"id": "test/embed", "name": "Test embeddings", "context_length": 8192,
                   "output_modalities": ["embeddings"], "aliases": ["embedder"]})
    endpoints.append(endpoint("test/embed", "p0", 1, region="DE"))
    return {
        "version": 1,
        "providers": providers,
        "models": models,
        "endpoints": endpoints,
        "policies": [{"name": "limited", "allowed_models": ["steady/*", "limited/*"], "zdr": True,
                      "max_price": {"prompt": 2}}],
        "tenants": [{"name": "default"}],
        "keys": [{"name": name, "tenant": "default", "secret": {"value": secret},
                  **MORE.get(name, {})} for name, secret in keys.items()],
    }


class Models:
    """Gives each model once."""

    def __init__(self):
        self.left = {kind: iter([f"{kind}/{i:03}" for i in range(count)])
                     for kind, (_, _, count) in KINDS.items()}

    def fresh(self, kind="plain"):
        model = next(self.left[kind], None)
        assert model is not None, f"all {kind} models are used: raise their number in KINDS"
        return model

    def several(self, count, kind="plain"):
        return [self.fresh(kind) for _ in itertools.repeat(None, count)]
