#!/bin/sh
# Makes tests/stores/vN/queue.db: a store as the runner of that version leaves it when its worker is killed, with tasks of
# every status. To be run once for each version of the store, before it changes; what is checked in never changes.
#
#   tests/stores/make.sh target/debug/runner tests/stores/v1/queue.db
set -eu
program=$(realpath "$1")
target=$(realpath -m "$2")
place=$(mktemp -d /tmp/runner-store.XXXXXX)
cd /
runner() {
    env -i PATH=/usr/bin:/bin HOME=/nonexistent LANG=C USER=somebody RUNNER_STATE_DIR="$place/state" "$program" "$@"
}
submit() {
    name=$1
    shift
    runner task submit --name "$name" "$@"
}
until_running() {
    until runner task status "$1" --json | grep -q '"status":"running"'; do :; done
}

completed=$(submit completed --priority high -c 'echo out; echo err >&2')
failed=$(submit failed --retries 1 --retry-delay 0 -c 'echo partial; exit 3')
submit timed-out --timeout 0.2s --grace 0 -- sleep 1000 >/dev/null
submit follower --after "$failed" -- true >/dev/null
submit operation op sleep 1ms >/dev/null
# Each has an end, whatever it is.
runner task wait $(runner task list --json | grep -o '"task_id":"[^"]*"' | cut -d'"' -f4) >/dev/null 2>&1 || :
cancelled=$(submit cancelled --delay 1d -- true)
runner task cancel "$cancelled" >/dev/null
lost=$(submit lost --timeout 1h -- sleep 1000)
# The place is gone when it runs again.
again=$(submit again --on-crash retry -c '[ -e "$RUNNER_STATE_DIR" ] || exit 0; sleep 1000')
until_running "$lost"
until_running "$again"
runner task extend "$lost" +5m >/dev/null
runner worker scale 3 >/dev/null
runner worker scale 1 --group build >/dev/null
runner task pause --group nightly >/dev/null
submit paused --group nightly -- true >/dev/null
submit later --at 2999-12-31T00:00:00Z -- true >/dev/null
submit after --after "$completed" --after "$again" --secret-env 'TOKEN=hunter2' --priority low -c 'echo "$TOKEN" | wc -c' >/dev/null
pid=$(runner worker status --json | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
kill -KILL "$pid"
while kill -0 "$pid" 2>/dev/null; do :; done
# What was written last goes into the file itself.
python3 - "$place/state/queue.db" <<'PYTHON'
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
connection.execute("VACUUM")
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
PYTHON
mkdir -p "$(dirname "$target")"
cp "$place/state/queue.db" "$target"
rm -rf "$place"
