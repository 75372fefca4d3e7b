# deploy/lib.sh - what the scripts here and tests/run share.  Sourced, not run.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
self=$(cd "$(dirname "$0")" && pwd)/${0##*/}
self=${self#"$root/"} # deploy/up, tests/run

if [ -t 2 ]; then bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'; else bold='' red='' plain=''; fi
say() { printf '%s\n' "$*" >&2; }
step() { printf '%s==>%s %s\n' "$bold" "$plain" "$*" >&2; }
die() { said=1; printf '%s%s: %s%s\n' "$red" "$self" "$*" "$plain" >&2; exit 1; }

# Tells how far a build, an installation or a run of tests has come, from what ninja, apt (Status-Fd)
# or ctest prints, and hides the rest: one line that changes, or a line every ten seconds for a log.
progress() {
    local line shown=$SECONDS
    while IFS= read -r line; do
        if [[ $line =~ ^\[([0-9]+/[0-9]+)\]|^\ *([0-9]+/[0-9]+)\ Test ]]; then
            line="${BASH_REMATCH[1]}${BASH_REMATCH[2]}"
        elif [[ $line =~ ^dlstatus:[^\ ]*:([0-9]+)[.0-9]*: ]]; then
            line="downloaded ${BASH_REMATCH[1]} %"
        elif [[ $line =~ ^pmstatus:[^\ ]*:([0-9]+)[.0-9]*: ]]; then
            line="installed ${BASH_REMATCH[1]} %"
        else
            continue
        fi
        if [ -t 2 ]; then
            printf '\r    %s\e[K' "$line" >&2
        elif [ $((SECONDS - shown)) -ge 10 ]; then
            say "    $line"
            shown=$SECONDS
        fi
    done
    [ ! -t 2 ] || printf '\r\e[K' >&2
}

# Sets home to an absolute path; by itself it is the checkout's, whatever the working directory is.
# Its processes are its owner's, so nobody else may start or stop them.
set_home() {
    local owner
    home=${1:-${SWITCHBOARD_HOME:-$root/.switchboard}}
    # shellcheck disable=SC2174 # only its own mode is meant
    [ -d "$home" ] || mkdir -p -m 700 "$home" 2>/dev/null ||
        die "cannot make the home directory $home; choose another by --home"
    owner=$(stat -c %U "$home/pids" 2>/dev/null || stat -c %U "$home")
    if [ ! -x "$home" ] || [ ! -w "$home" ] || { [ -d "$home/pids" ] && [ "$owner" != "$(id -un)" ]; }; then
        die "$home is of the user $owner: run this as $owner, or choose another by --home"
    fi
    home=$(cd "$home" && pwd -P)
}

# The argument of --home, for scripts that know no other; sets home_wish.
only_home() {
    home_wish=
    case "${1:-}" in
    --home) [ $# -eq 2 ] || die "--home wants one directory"; home_wish=$2 ;;
    '') ;;
    *) die "usage: $self [--home DIR]" ;;
    esac
}

# A process of ours: its pid file, and that the pid still is that command.  After a crash or a restart of
# the machine it may be another's, even the same program's in another home: that one has other arguments.
pid_of() {
    local pid command running
    { read -r pid _ <"$home/pids/$1" && IFS= read -r command <"$home/pids/$1.args"; } 2>/dev/null || return 1
    { running=$(tr '\0' ' ' <"/proc/$pid/cmdline"); } 2>/dev/null || return 1
    [ "$running" = "$command " ] && printf '%s\n' "$pid"
}

# start NAME PROGRAM ARGS...: in a session of its own, log in log/NAME.log
start() {
    local name=$1
    shift
    # kept, so that the next 'up' can see whether anything changed
    printf '%s\n' "$*" >"$home/pids/$name.args"
    # 9 is the lock of the script, which would outlive it
    setsid "$@" </dev/null >>"$home/log/$name.log" 2>&1 9>&- &
    printf '%s\n' "$!" >"$home/pids/$name"
    disown
    # until then the command is still this script's
    wait_until 10 begun "$name" "$!" || true
}
begun() { pid_of "$1" || gone "$2"; }

# stop NAME [SECONDS]: SIGTERM, and SIGKILL when that does not help
stop() {
    local name=$1 patience=${2:-60} pid
    if pid=$(pid_of "$name"); then
        kill -TERM "$pid" 2>/dev/null
        wait_until "$patience" gone "$pid" || kill -KILL "$pid" 2>/dev/null
    fi
    rm -f "$home/pids/$name" "$home/pids/$name.args" "$home/pids/$name.mark"
}
gone() { [ ! -d "/proc/$1" ] || [ "$(sed -nE 's/^State:\s+(\S).*/\1/p' "/proc/$1/status" 2>/dev/null)" = Z ]; }

# wait_until SECONDS COMMAND...: polls ten times a second
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# Whether somebody listens on a port of this machine.
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# ours PORT NAME: that process was started for it, by its arguments
ours() { pid_of "$2" >/dev/null && grep -qE -- "(:|--port )$1( |\$)" "$home/pids/$2.args" 2>/dev/null; }
# listens PORT NAME: and has it.  One that cannot have its port has ended.
listens() { taken "$1" && ours "$1" "$2"; }

# Names of what was started, in the order of the directory.
started() {
    local file
    for file in "$home"/pids/*; do
        case "$file" in *.args | *.mark | *.ports | *'*') continue ;; esac
        printf '%s\n' "${file##*/}"
    done
}

# --- PostgreSQL ----------------------------------------------------------------------------------

# Where it really is: PostgreSQL's user may not be able to pass through the home.
pg_dir() { readlink -m "$home/pg"; }

# The programs of the version that made the cluster, or the newest there are.
pg_bin() {
    local version dir
    version=$(as_pg cat "$(pg_dir)/data/PG_VERSION" 2>/dev/null || true)
    for dir in /usr/lib/postgresql/${version:-*}/bin; do
        [ ! -x "$dir/initdb" ] || printf '%s\n' "$dir"
    done | sort -V | tail -n 1
}

# Runs a command of PostgreSQL: as its own user when we are root, which it refuses to run as.
as_pg() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}

# The postmaster whose data it is.  The pid in its file may be another's after a restart of the machine,
# and pg_ctl would take any process for it.
pg_pid() {
    local pid
    pid=$(as_pg head -n 1 "$(pg_dir)/data/postmaster.pid" 2>/dev/null) || return 1
    [ "$(as_pg readlink "/proc/$pid/cwd")" = "$(pg_dir)/data" ] && printf '%s\n' "$pid"
}
