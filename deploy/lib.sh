# deploy/lib.sh - what up, down and status share.  Sourced, not run.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
self=${0##*/}

if [ -t 2 ]; then bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'; else bold='' red='' plain=''; fi
say() { printf '%s\n' "$*" >&2; }
step() { printf '%s==>%s %s\n' "$bold" "$plain" "$*" >&2; }
die() { printf '%sdeploy/%s: %s%s\n' "$red" "$self" "$*" "$plain" >&2; exit 1; }

# Sets home to an absolute path.
set_home() {
    home=${1:-${SWITCHBOARD_HOME:-./.switchboard}}
    mkdir -p "$home" 2>/dev/null || die "cannot make the home directory $home; choose another by --home"
    home=$(cd "$home" && pwd)
}

# A process of ours: its pid file, and that the pid still is that program.
pid_of() {
    local file=$home/pids/$1 pid program
    [ -r "$file" ] || return 1
    read -r pid program <"$file" || return 1
    [ -n "$pid" ] && [ -d "/proc/$pid" ] || return 1
    # a pid may have been given to somebody else since
    [ "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -d' ' -f1)" = "$program" ] || return 1
    printf '%s\n' "$pid"
}

# start NAME PROGRAM ARGS...: in a session of its own, log in log/NAME.log
start() {
    local name=$1
    shift
    mkdir -p "$home/pids" "$home/log"
    setsid "$@" </dev/null >>"$home/log/$name.log" 2>&1 &
    printf '%s %s\n' "$!" "$1" >"$home/pids/$name"
    # kept, so that the next 'up' can see whether anything changed
    printf '%s\n' "$*" >"$home/pids/$name.args"
    disown
}

# stop NAME [SECONDS]: SIGTERM, and SIGKILL when that does not help
stop() {
    local name=$1 patience=${2:-40} pid
    pid=$(pid_of "$name") || { rm -f "$home/pids/$name" "$home/pids/$name.args"; return 0; }
    kill -TERM "$pid" 2>/dev/null
    wait_until "$patience" gone "$pid" || kill -KILL "$pid" 2>/dev/null
    rm -f "$home/pids/$name" "$home/pids/$name.args"
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

pg_bin() {
    local dir
    for dir in /usr/lib/postgresql/*/bin; do [ -x "$dir/initdb" ] && printf '%s\n' "$dir"; done | sort -V | tail -n 1
}

# Runs a command of PostgreSQL: as its own user when we are root, which it refuses to run as.
as_pg() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}

pg_is_up() { as_pg "$(pg_bin)/pg_ctl" -D "$home/pg/data" status >/dev/null 2>&1; }
