/* controlplane/ctl/commands.c */
#include "controlplane/ctl/commands.h"

#include "common/attr.h"

#define NO_MORE_FLAGS                                                                              \
    {                                                                                              \
        NULL, 0, NULL, NULL                                                                        \
    }
#define CHANGE_FLAGS                                                                               \
    {"dry-run", 0, NULL, "show what would change, change nothing"},                                \
        {"force", 0, NULL, "even when it removes more than half"},                                 \
    {                                                                                              \
        "note", 0, "TEXT", "why; kept with the revision"                                           \
    }

static const struct ctl_flag no_flags[] = {NO_MORE_FLAGS};
static const struct ctl_flag change_flags[] = {CHANGE_FLAGS, NO_MORE_FLAGS};
static const struct ctl_flag apply_flags[] = {
    {"file", 'f', "FILE", "the catalogue, YAML or JSON; - is standard input"},
    {"prune", 0, NULL, "remove what files made and this one does not name"},
    CHANGE_FLAGS,
    {"if-match", 0, "REVISION", "only if nobody has changed anything since"},
    NO_MORE_FLAGS,
};
#define EXPIRES_FLAG                                                                               \
    {                                                                                              \
        "expires", 0, "TIME",                                                                      \
            "until when: 90d, 2027-01-31 or 2027-01-31T12:00:00Z (else for ever)"                  \
    }
static const struct ctl_flag key_flags[] = {
    {"policy", 0, "NAME", "whose rules hold for the key"},
    {"tenant", 0, "NAME", "whose it is (default: default)"},
    EXPIRES_FLAG,
    NO_MORE_FLAGS,
};
static const struct ctl_flag token_flags[] = {
    {"role", 0, "ROLE", "viewer, auditor, operator or admin"},
    EXPIRES_FLAG,
    {"scope", 0, "SCOPE", "limits it: kind:KIND and tenant:NAME, with commas between"},
    NO_MORE_FLAGS,
};
#define SECRET_FLAGS                                                                               \
    {"secret-file", 0, "FILE", "the secret is in this file"},                                      \
    {                                                                                              \
        "secret-env", 0, "NAME", "the secret is in this variable"                                  \
    }
static const struct ctl_flag credential_create_flags[] = {
    {"provider", 0, "SLUG", "who takes it"},
    {"tenant", 0, "NAME", "whose own it is"},
    {"house", 0, NULL, "instead: the operator's, which all tenants use"},
    {"sequence", 0, "N", "its place among those of one tenant and provider (default 0)"},
    {"no-spill", 0, NULL, "when it is at its limit, the operator's do not step in"},
    SECRET_FLAGS,
    CHANGE_FLAGS,
    NO_MORE_FLAGS,
};
static const struct ctl_flag credential_enter_flags[] = {
    SECRET_FLAGS,
    CHANGE_FLAGS,
    NO_MORE_FLAGS,
};
static const struct ctl_flag list_flags[] = {
    {"limit", 'n', "N", "how many (default 20)"},
    NO_MORE_FLAGS,
};
static const struct ctl_flag revision_flags[] = {
    {"since", 0, "REVISION", "all that changed after that one"},
    NO_MORE_FLAGS,
};
#define TRUST_FLAGS                                                                                \
    {"checkpoints", 0, "FILE", "those kept outside of the database (default: in the home)"},       \
    {                                                                                              \
        "log-key", 0, "FILE", "the log's public key (default: log.key.pub in the home)"            \
    }
static const struct ctl_flag trust_flags[] = {TRUST_FLAGS, NO_MORE_FLAGS};
static const struct ctl_flag audit_verify_flags[] = {
    {"from", 0, "N", "begin at the last checkpoint up to entry N (default: the first)"},
    {"to", 0, "N", "end at the first checkpoint from entry N on (default: the end)"},
    TRUST_FLAGS,
    NO_MORE_FLAGS,
};
static const struct ctl_flag audit_prove_flags[] = {
    {"size", 0, "N", "in the log of that size (default: that of the newest checkpoint)"},
    TRUST_FLAGS,
    NO_MORE_FLAGS,
};
static const struct ctl_flag audit_export_flags[] = {
    {"out", 0, "DIR", "where the file goes (default: here)"},
    NO_MORE_FLAGS,
};
static const struct ctl_flag hold_flags[] = {
    {"from", 0, "DAY", "the first day that stays: 2026-01-31"},
    {"to", 0, "DAY", "the last one (default: the first)"},
    {"note", 0, "TEXT", "why: the case, the order"},
    NO_MORE_FLAGS,
};
static const struct ctl_flag erase_flags[] = {
    {"tenant", 0, "NAME", "whose user it is"},
    {"user", 0, "TEXT", "as clients sent it, character for character"},
    {"from", 0, "TIME", "records not before: 2026-01-31, 2026-01-31T12:00:00Z, or 2h (ago)"},
    {"to", 0, "TIME", "records before"},
    {"dry-run", 0, NULL, "count the records, change nothing"},
    NO_MORE_FLAGS,
};
static const struct ctl_flag log_key_flags[] = {
    {"name", 0, "NAME", "of the log, which it signs (default: switchboard/audit)"},
    NO_MORE_FLAGS,
};
static const struct ctl_flag tables_flags[] = {
    {"watch", 'w', NULL, "again every two seconds, until q or Ctrl-C"},
    NO_MORE_FLAGS,
};

static const struct ctl_flag explain_flags[] = {
    {"file", 'f', "FILE", "a request body, as a client would send it; - is standard input"},
    {"model", 'm', "NAME", "instead: the smallest request for this model"},
    {"key", 'k', "NAME", "whose policy and credentials hold (default: the first)"},
    {"worker", 'w', "NAME", "who is asked (default: any)"},
    NO_MORE_FLAGS,
};
static const struct ctl_flag simulate_flags[] = {
    {"catalog", 'c', "FILE", "the catalogue, YAML or JSON; - is standard input"},
    {"tables", 0, "FILE", "what is measured, as `tables -o json` prints it (else: no data)"},
    {"model", 'm', "NAME", "the one model (default: all of the file)"},
    {"policy", 0, "NAME", "a policy of the catalogue that holds for every request"},
    {"strategy", 0, "NAME", "price, balanced, throughput or latency (default: all four)"},
    {"budget", 0, "USD", "what there is to spend (default 100)"},
    {"prompt-tokens", 0, "P", "of one request (default 1000)"},
    {"completion-tokens", 0, "C", "of one request (default 300)"},
    {"at", 0, "TIME", "when: 2026-01-31T03:00:00Z, for prices by the hour (default: now)"},
    {"requests", 'n', "N", "how many are simulated (default 100000)"},
    {"seed", 0, "S", "of the random numbers (default 1): the same gives the same"},
    NO_MORE_FLAGS,
};
#define MOMENT_FLAGS                                                                               \
    {"from", 0, "TIME", "not before: 2026-01-31, 2026-01-31T12:00:00Z, or 2h (ago)"},              \
    {                                                                                              \
        "to", 0, "TIME", "before"                                                                  \
    }
#define LIST_FLAGS                                                                                 \
    {"limit", 'n', "N", "how many (default 50; without an end for --format)"},                     \
    {                                                                                              \
        "format", 0, "FORMAT", "csv or ndjson: streamed, for other programs"                       \
    }
static const struct ctl_flag audit_query_flags[] = {
    MOMENT_FLAGS,
    {"key", 0, "NAME", "of which API key"},
    {"model", 0, "MODEL", "asked for or served"},
    {"provider", 0, "SLUG", "who served"},
    {"endpoint", 0, "TAG", "or MODEL@TAG"},
    {"region", 0, "REGION", "of the endpoint that served"},
    {"outcome", 0, "WORDS", "success, stream_cut, ...; several with commas between"},
    {"generation-id", 0, "ID", "the one request"},
    {"zdr", 0, "true|false", "whether zero data retention was demanded"},
    {"residency", 0, "WHERE", "that was demanded: eu, or a country"},
    {"no-training", 0, "true|false", "whether it was demanded"},
    {"distillable", 0, "true|false", "whether it was demanded"},
    {"left", 0, "WHERE", "served or tried outside of: eu, or countries (DE,FR)"},
    {"evidence", 0, "TEXT", "that was held for what they demanded"},
    {"evidence-withdrawn", 0, NULL, "only those for which it was taken back later"},
    {"min-cost", 0, "USD", "that it cost at least"},
    {"client", 0, "NETWORK", "that it came from: 192.0.2.7, 10.0.0.0/8"},
    LIST_FLAGS,
    NO_MORE_FLAGS,
};
static const struct ctl_flag audit_changes_flags[] = {
    MOMENT_FLAGS,
    {"author", 0, "NAME", "who changed it"},
    {"role", 0, "ROLE", "that the author had"},
    {"client", 0, "NETWORK", "that it came from: 192.0.2.7, 10.0.0.0/8"},
    {"kind", 0, "KIND", "of the object"},
    {"name", 0, "NAME", "of the object"},
    {"flag", 0, "CLAIM", "only changes of it: eu_resident, zdr, no_training, distillable"},
    {"revision", 0, "N", "that changed it"},
    LIST_FLAGS,
    NO_MORE_FLAGS,
};

static const struct ctl_flag audit_actions_flags[] = {
    MOMENT_FLAGS,
    {"author", 0, "NAME", "who did it, or was refused"},
    {"role", 0, "ROLE", "that the author had"},
    {"client", 0, "NETWORK", "that it came from: 192.0.2.7, 10.0.0.0/8"},
    {"action", 0, "WORD", "token_created, token_revoked, refused, hold_set, ..."},
    {"subject", 0, "TEXT", "the token, the hold; of what was refused: method and path"},
    LIST_FLAGS,
    NO_MORE_FLAGS,
};
static const struct ctl_flag receipt_flags[] = {
    {"log-key", 0, "KEY", "the log's public key, or its file (default: the home's log.key.pub)"},
    {"promise", 0, "FILE", "the head of the answer, as `curl -D FILE` keeps it"},
    {"request", 0, "FILE", "the body that was sent, byte for byte"},
    {"response", 0, "FILE", "the body that came, byte for byte"},
    NO_MORE_FLAGS,
};

static const struct ctl_flag events_flags[] = {
    MOMENT_FLAGS,
    {"kind", 0, "WORDS", "outage_began, price_rose, ...; several with commas between"},
    {"severity", 0, "WORD", "at least: info, warning, critical"},
    {"subject-kind", 0, "KIND", "of the object that it is about"},
    {"subject", 0, "NAME", "of the object: MODEL@TAG"},
    LIST_FLAGS,
    NO_MORE_FLAGS,
};
static const struct ctl_flag flags_flags[] = {
    {"at", 0, "TIME", "as of then: 2026-01-31, 2026-01-31T12:00:00Z, or 30d (ago)"},
    NO_MORE_FLAGS,
};
static const struct ctl_flag probes_flags[] = {
    MOMENT_FLAGS,
    {"kind", 0, "KIND", "completion, embedding or models"},
    {"provider", 0, "SLUG", "who was asked"},
    {"endpoint", 0, "TAG", "or MODEL@TAG"},
    {"outcome", 0, "WORDS", "success, reset, ...; several with commas between"},
    LIST_FLAGS,
    NO_MORE_FLAGS,
};

static const struct ctl_flag prices_flags[] = {
    MOMENT_FLAGS,
    {"endpoint", 0, "MODEL@TAG", "whose prices"},
    {"verdict", 0, "WORD", "applied, reported or held"},
    LIST_FLAGS,
    NO_MORE_FLAGS,
};

static const struct ctl_flag report_flags[] = {
    {"from", 0, "DAY", "the first, UTC: 2026-01-31 or 30d (ago) (default: 30 days before)"},
    {"to", 0, "DAY", "the first one after (default: tomorrow)"},
    {"recount", 0, NULL, "also read every record again, and say what differs"},
    {"html", 0, "FILE", "write a page that prints well, instead of showing it"},
    NO_MORE_FLAGS,
};

static const char kinds[] =
    "KIND is one of providers, models, endpoints, tenants, keys, policies, credentials, in the\n"
    "singular or plural.  An endpoint is named MODEL@TAG.\n";

const struct ctl_command ctl_commands[] = {
    {"status", "", 0, 0, no_flags, "leader, database, fleet and revision at a glance", NULL,
     "status\n"
     "status -o json\n",
     ctl_run_status},
    {"apply", "", 0, 0, apply_flags, "apply a catalogue file, all of it or nothing",
     "Shows what changes: + added, ~ changed, - removed.  Secrets that the file names by {env:} "
     "or\n"
     "{file:} are read by the control plane, not here.\n",
     "apply -f my.yaml --dry-run\n"
     "apply -f my.yaml --note new-prices\n",
     ctl_run_apply},
    {"get", "KIND [NAME]", 1, 2, no_flags, "show the objects of a kind, or one of them", kinds,
     "get endpoints\n"
     "get endpoint meta-llama/llama-3.3-70b-instruct@acme -o yaml\n",
     ctl_run_get},
    {"delete", "KIND NAME", 2, 2, change_flags, "remove one object", kinds,
     "delete key my-app --dry-run\n", ctl_run_delete},
    {"key create", "NAME", 1, 1, key_flags, "make an API key; its secret is shown once", NULL,
     "key create my-app --policy eu-only --expires 90d\n", ctl_run_key_create},
    {"key revoke", "NAME", 1, 1, no_flags, "end an API key, for good", NULL, "key revoke my-app\n",
     ctl_run_key_revoke},
    {"token create", "NAME", 1, 1, token_flags, "make an admin token; its secret is shown once",
     "viewer    reads the configuration, the fleet and what is measured\n"
     "auditor   reads everything, audit records included, and changes nothing\n"
     "operator  reads what a viewer does and who changed what; changes objects of the catalogue\n"
     "admin     everything, tokens included\n"
     "A viewer or operator can be limited: kind:endpoints,kind:models sees and changes nothing "
     "else;\n"
     "tenant:acme has the keys and credentials of that tenant, and the tenant itself.  A name is "
     "used\nonce: the audit knows a token by it.\n",
     "token create ci --role operator --expires 90d --scope kind:endpoints,kind:models\n"
     "token create eve --role auditor\n",
     ctl_run_token_create},
    {"token list", "", 0, 0, no_flags, "admin tokens, their roles and states", NULL, "token list\n",
     ctl_run_token_list},
    {"token revoke", "NAME", 1, 1, no_flags, "end an admin token, for good and at once", NULL,
     "token revoke ci\n", ctl_run_token_revoke},
    {"credential create", "NAME", 1, 1, credential_create_flags,
     "enter a key that a provider gave, the operator's or a tenant's own",
     "Its secret is read from standard input unless a flag says otherwise; at a terminal it is "
     "asked\n"
     "for and not shown.  It is stored sealed and never shown again.\n",
     "credential create team-acme-1 --provider acme --tenant team --sequence 1\n"
     "credential create acme-2 --provider acme --house --secret-env ACME_API_KEY\n",
     ctl_run_credential_create},
    {"credential enter", "NAME", 1, 1, credential_enter_flags,
     "enter the secret of a credential again",
     "When the provider gave a new one, or when the credential is suspended because the address "
     "of\n"
     "its provider has changed.  The secret is read as by credential create.\n",
     "credential enter team-acme-1 --secret-file key.txt\n", ctl_run_credential_enter},
    {"revisions", "", 0, 0, list_flags, "who changed how much, and when", NULL, "revisions -n 50\n",
     ctl_run_revisions},
    {"revision", "N", 1, 1, revision_flags, "what a revision changed", NULL,
     "revision 7\n"
     "revision 7 --since 3\n",
     ctl_run_revision},
    {"rollback", "N", 1, 1, change_flags, "make everything as it was after revision N",
     "That is a new revision.  Revoked keys stay revoked, deleted credentials deleted.\n",
     "rollback 6 --dry-run\n", ctl_run_rollback},
    {"workers", "", 0, 0, no_flags, "the fleet: version, state, load, spool", NULL, "workers\n",
     ctl_run_workers},
    {"tables", "", 0, 0, tables_flags, "what is measured of each endpoint", NULL,
     "tables --watch\n"
     "tables -o json\n",
     ctl_run_tables},
    {"events", "", 0, 0, events_flags, "outages, evidence that ends, prices: newest first", NULL,
     "events --severity warning --from 24h\n", ctl_run_events},
    {"flags", "MODEL@TAG|PROVIDER", 1, 1, flags_flags,
     "what was believed about an endpoint or a provider, and why",
     "For each claim: what it counts as in routing, what was said, the evidence, and who changed "
     "it\nlast.  Evidence that had expired by then counts as unknown.\n",
     "flags meta-llama/llama-3.3-70b-instruct@acme\n"
     "flags acme --at 2026-10-15\n",
     ctl_run_flags},
    {"probes", "", 0, 0, probes_flags, "how providers answered when nobody else asked them",
     "A probe without an outcome is under way, or its daemon died; then it counts with the most\n"
     "that it could cost.\n",
     "probes --provider acme --from 24h\n", ctl_run_probes},
    {"prices", "", 0, 0, prices_flags, "what endpoints cost, and were said to cost",
     "reported: a provider lists it, and the catalogue is as it was.  held: it rose by more than\n"
     "--price-rise-limit of the daemon.\n",
     "prices --verdict held\n", ctl_run_prices},
    {"explain", "", 0, 0, explain_flags, "what a live worker would do with a request",
     "Shows which rule removes which endpoint, what would have to be relaxed, and the order in\n"
     "which the others would be tried.  Nothing is sent.  Exit status 1: it would be refused.\n",
     "explain --model llama-3 --key my-app\n"
     "explain -f request.json\n",
     ctl_run_explain},
    {"simulate", "", 0, 0, simulate_flags, "what a budget buys, by a catalogue file",
     "Sends requests of one kind through the routing code of the workers, without a network, and\n"
     "counts who gets them: how many requests the budget pays, the share of each endpoint, the "
     "mean\n"
     "price, and the mean latency and throughput where --tables knows them.  Prices are those in\n"
     "force for such a prompt at that time.  Nobody is asked, "
     "every\n"
     "endpoint counts as healthy, and each request is a conversation of its own.  Exit status 1:\n"
     "the rules leave no endpoint.\n",
     "simulate --catalog my.yaml --model llama-3 --budget 100 --prompt-tokens 1000\n",
     ctl_run_simulate},
    {"audit query", "", 0, 0, audit_query_flags, "what was asked, and who served it", NULL,
     "audit query --left eu --from 2026-11-01 --to 2026-12-01\n"
     "audit query --key my-app --format csv\n",
     ctl_run_audit_query},
    {"audit changes", "", 0, 0, audit_changes_flags, "who changed which object, and how", NULL,
     "audit changes --name acme --flag zdr\n", ctl_run_audit_changes},
    {"audit verify", "[FILE...]", 0, CTL_OPERANDS_MAX, audit_verify_flags,
     "is the audit log what was signed?",
     "Reads all entries (or what audit/log gave, from files), hashes them again, and compares "
     "with\n"
     "checkpoints that were kept outside of the database.  Trusts the public key and nothing that\n"
     "the server says.  Names what was changed, removed, inserted or reordered by its position,\n"
     "and workers whose records are not all there.  Exit status 1: there are findings.\n"
     "With --from or --to only the signatures of checkpoints there are checked.\n"
     "Files may also be exported days, in their order: these need the public key and nothing "
     "else, and\nhave to continue each other.\n",
     "audit verify\n"
     "audit verify --log-key log.key.pub 2026-12-01.ndjson.zst\n",
     ctl_run_audit_verify},
    {"audit prove", "ID", 1, 1, audit_prove_flags, "prove that an entry is in the signed log",
     "ID is a generation id, or the number of an entry.  -o json prints entry, inclusion proof "
     "and\n"
     "checkpoint, which RFC 6962 and the public key are enough to verify again.\n",
     "audit prove gen-1795432452-QDAfqNZxVQe8Vcr9hqFR\n", ctl_run_audit_prove},
    {"audit consistency", "SIZE SIZE", 2, 2, trust_flags,
     "prove that the log of the second size continues that of the first",
     "The roots are those of checkpoints of these sizes.\n", "audit consistency 1000 2000\n",
     ctl_run_audit_consistency},
    {"audit actions", "", 0, 0, audit_actions_flags,
     "tokens, holds, erasures, and what tokens were refused", NULL,
     "audit actions --action refused --from 7d\n", ctl_run_audit_actions},
    {"audit export", "DAY", 1, 1, audit_export_flags,
     "write a day of the log as a file that proves itself",
     "DAY (UTC) is 2026-01-31, and over for ten minutes; the file is DAY.ndjson.zst.  audit "
     "verify\n"
     "checks it with the log's public key alone, without a server.\n",
     "audit export 2026-11-30 --out exports\n", ctl_run_audit_export},
    {"hold set", "NAME", 1, 1, hold_flags, "keep days of the audit, whatever retention says",
     "Nothing of these days is dropped or erased until the hold is lifted.  A name is used once.\n",
     "hold set case-42 --from 2026-11-01 --to 2026-11-30 --note court-order\n", ctl_run_hold_set},
    {"hold list", "", 0, 0, no_flags, "legal holds, lifted ones as well", NULL, "hold list\n",
     ctl_run_hold_list},
    {"hold lift", "NAME", 1, 1, no_flags, "lift a legal hold", NULL, "hold lift case-42\n",
     ctl_run_hold_lift},
    {"erase", "", 0, 0, erase_flags, "forget a person",
     "Destroys the salts of the records of a tenant's user, and what was kept plain of them: "
     "nothing\nleads to the person any more, and the log still verifies.  It cannot be undone.\n",
     "erase --tenant team --user jane@example.com --dry-run\n", ctl_run_erase},
    {"receipt verify", "FILE", 1, 1, receipt_flags, "check a receipt by the log's public key alone",
     "FILE is what GET /v1/generation/{id}/receipt gave, or the head of an answer with a promise.\n"
     "Nobody is asked.  Exit status 1: something is not proven.\n",
     "receipt verify receipt.json --promise head.txt --log-key log.key.pub\n",
     ctl_run_receipt_verify},
    {"report", "CLAIM", 1, 1, report_flags, "what was demanded, and how it was kept to",
     "CLAIM is residency:eu, residency:DE,FR, residency (all of them), zdr, no_training or\n"
     "distillable.  Shows which endpoints served on what evidence, what was refused, and each\n"
     "violation.  Exit status 1: there are violations, or a recount differs.\n",
     "report residency:eu --from 2026-11-01 --to 2026-12-01\n"
     "report zdr --html zdr.html\n",
     ctl_run_report},
    {"keyring new", "FILE", 1, 1, no_flags, "make a keyring: keys that seal credentials", NULL,
     "keyring new .switchboard/keyring\n", ctl_run_keyring_new},
    {"keyring rotate", "FILE", 1, 1, no_flags, "put a new sealing key in front of the others",
     "Bring the file to the control plane and all workers, then reload them (SIGHUP).\n",
     "keyring rotate .switchboard/keyring\n", ctl_run_keyring_rotate},
    {"buskey new", "FILE", 1, 1, no_flags, "make a key pair for the bus between hosts", NULL,
     "buskey new worker-1.key\n", ctl_run_buskey_new},
    {"log-key new", "FILE", 1, 1, log_key_flags, "make the key that signs the audit log",
     "The public half goes to FILE.pub, in the form of C2SP's signed notes.\n",
     "log-key new log.key --name example.org/audit\n", ctl_run_log_key_new},
    {"log-key show", "FILE", 1, 1, no_flags, "print the public half of such a key", NULL,
     "log-key show log.key\n", ctl_run_log_key_show},
};
const size_t ctl_commands_n = SB_ARRAY_LEN(ctl_commands);

const char *const ctl_commands_planned[] = {NULL};
