/* controlplane/ctl/commands.h - the table of commands, and who runs them. */
#pragma once

#include <stddef.h>

#include "controlplane/ctl/args.h"

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_commands_n;
extern const char *const ctl_commands_planned[];

typedef int ctl_run_cb(struct ctl *ctl);

/* cmd_config.c */
ctl_run_cb ctl_run_apply, ctl_run_get, ctl_run_delete;
/* cmd_key.c */
ctl_run_cb ctl_run_key_create, ctl_run_key_revoke;
/* cmd_token.c */
ctl_run_cb ctl_run_token_create, ctl_run_token_list, ctl_run_token_revoke;
/* cmd_credential.c */
ctl_run_cb ctl_run_credential_create, ctl_run_credential_enter;
/* cmd_history.c */
ctl_run_cb ctl_run_revisions, ctl_run_revision, ctl_run_rollback;
/* cmd_fleet.c */
ctl_run_cb ctl_run_status, ctl_run_workers, ctl_run_tables;
/* cmd_explain.c */
ctl_run_cb ctl_run_explain;
/* cmd_simulate.c */
ctl_run_cb ctl_run_simulate;
/* cmd_verify.c */
ctl_run_cb ctl_run_audit_verify;
/* cmd_prove.c */
ctl_run_cb ctl_run_audit_prove, ctl_run_audit_consistency;
/* cmd_audit.c */
ctl_run_cb ctl_run_audit_query, ctl_run_audit_changes, ctl_run_audit_actions, ctl_run_events,
    ctl_run_probes, ctl_run_prices;
/* cmd_retention.c */
ctl_run_cb ctl_run_hold_set, ctl_run_hold_list, ctl_run_hold_lift, ctl_run_erase,
    ctl_run_audit_export;
/* cmd_flags.c */
ctl_run_cb ctl_run_flags;
/* cmd_receipt.c */
ctl_run_cb ctl_run_receipt_verify;
/* cmd_report.c */
ctl_run_cb ctl_run_report;
/* cmd_files.c */
ctl_run_cb ctl_run_keyring_new, ctl_run_keyring_rotate, ctl_run_buskey_new, ctl_run_log_key_new,
    ctl_run_log_key_show;
