# Runs a server and stops it when standard input closes, because the test process has ended.
# Arguments: the server's directory, its log, the signals that stop it, its command line.
#
# Reads commands: `start` prints the process id, `stop SIGNAL...` prints `stopped`.
directory=$1
log=$2
signals=$3
shift 3
pid=

# Waits for the end before it forgets the id, so that the id can't belong to another process.
stop() {
  for signal in "$@"; do
    kill -s "$signal" "$pid"
  done
  wait "$pid"
  pid=
}

# A signal ends `read` and thereby the loop.
trap : HUP INT TERM
while read -r command arguments; do
  case $command in
  start)
    "$@" </dev/null >>"$log" 2>&1 &
    pid=$!
    echo "$pid"
    ;;
  stop)
    # shellcheck disable=SC2086
    stop $arguments
    echo stopped
    ;;
  esac
done
# shellcheck disable=SC2086
[ -z "$pid" ] || stop $signals
# Several times, because another program may still write to the directory while it is prepared.
for _ in 1 2 3 4 5; do
  rm -rf "$directory" && break
  sleep 1
done
