/* controlplane/ctl/cmd_files.c - files with keys; these ask no control plane. */
#include "common/buskey.h"
#include "common/keyring.h"
#include "common/notekey.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"

static int finish(struct ctl *ctl, int rc, const struct sb_errmsg *err)
{
    return rc == SB_OK ? CTL_DONE : ctl_fail(ctl, "%s", err->text);
}

int ctl_run_keyring_new(struct ctl *ctl)
{
    const char *path = ctl->args.operands[0];
    struct sb_errmsg err = {.text = ""};
    int rc = sb_keyring_generate(path, &err);

    if (rc == SB_OK) {
        ctl_print(ctl, "made %s\n", path);
        ctl_note(ctl, "Whoever has it can read the sealed credentials; without it nobody can. "
                      "Keep a copy in a safe place.");
    }
    return finish(ctl, rc, &err);
}

int ctl_run_keyring_rotate(struct ctl *ctl)
{
    const char *path = ctl->args.operands[0];
    struct sb_errmsg err = {.text = ""};
    int rc = sb_keyring_rotate(path, &err);

    if (rc == SB_OK)
        ctl_print(ctl,
                  "%s has a new sealing key; what the others sealed still opens.\n"
                  "Bring it to all hosts, start the workers again, then the control daemons.\n",
                  path);
    return finish(ctl, rc, &err);
}

int ctl_run_buskey_new(struct ctl *ctl)
{
    const char *path = ctl->args.operands[0];
    struct sb_errmsg err = {.text = ""};
    int rc = sb_buskey_generate(path, &err);

    if (rc == SB_OK)
        ctl_print(ctl, "made %s (secret: stays on its host) and %s.pub (public: for the others)\n",
                  path, path);
    return finish(ctl, rc, &err);
}

int ctl_run_log_key_new(struct ctl *ctl)
{
    const char *path = ctl->args.operands[0], *name = ctl_flag(ctl, "name");
    char text[SB_NOTE_KEY_TEXT];
    struct sb_errmsg err = {.text = ""};
    struct sb_note_key key;
    int rc =
        sb_note_signer_generate(path, sb_slice_of(name != NULL ? name : "switchboard/audit"), &err);

    if (rc == SB_OK)
        rc = sb_note_key_load(path, &key, &err);
    if (rc == SB_OK) {
        sb_note_key_put(&key, text);
        ctl_print(ctl, "made %s (secret: stays with the control daemons) and %s.pub (public)\n%s\n",
                  path, path, text);
        ctl_note(ctl,
                 "Give the public line to whoever verifies the log, before it is needed: who has "
                 "it from you later has to trust you.");
    }
    return finish(ctl, rc, &err);
}

int ctl_run_log_key_show(struct ctl *ctl)
{
    char text[SB_NOTE_KEY_TEXT];
    struct sb_errmsg err = {.text = ""};
    struct sb_note_key key;
    int rc = sb_note_key_load(ctl->args.operands[0], &key, &err);

    if (rc == SB_OK) {
        sb_note_key_put(&key, text);
        ctl_print(ctl, "%s\n", text);
    }
    return finish(ctl, rc, &err);
}
