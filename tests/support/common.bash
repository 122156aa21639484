# Helpers of the shell tests. In setup: load ../support/common; in teardown: stop_all.
# Nothing here sleeps for a fixed time to let something happen: wait_for polls a condition.

export PATH="$BATS_TEST_DIRNAME/../../${MSR_BUILD:-build}/bin:$PATH"
SUPPORT=$BATS_TEST_DIRNAME/../support
PYTHON=/usr/bin/python3

# A TCP port that is free now, outside the ephemeral range so that it stays so.
free_port() {
	free_ports 1
}

# free_ports N: as many of them, on one line. Nearly every test asks, so no other program is started for it.
free_ports() {
	local port ports=()
	while [ ${#ports[@]} -lt "$1" ]; do
		port=$((20000 + SRANDOM % 12000))
		[[ " ${ports[*]} " == *" $port "* ]] || is_open "$port" || ports+=("$port")
	done
	echo "${ports[@]}"
}

# Somebody listens on a TCP port: is_open PORT
is_open() {
	{ : <>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null
}

# wait_for SECONDS COMMAND ...: until the command succeeds, otherwise fails and says what.
wait_for() {
	local deadline=$((SECONDS + $1 + 1)) # the second that has begun does not count
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			echo "waited in vain for: $*" >&2
			return 1
		fi
		nap
	done
}

# Between two looks at a condition, 50 ms: from a port to which nothing was sent nothing comes. It is done
# so often that starting a program for it (sleep) would keep the machine busy.
nap() {
	[ "${NAP:-}" ] || exec {NAP}<>/dev/udp/127.0.0.1/9
	read -rt 0.05 -u "$NAP" || true
}

# start NAME COMMAND ...: runs it in the background with output in $BATS_TEST_TMPDIR/NAME.log; its pid is in PID.
start() {
	local name=$1
	shift
	"$@" >"$BATS_TEST_TMPDIR/$name.log" 2>&1 3>&- &
	PID=$!
	STARTED="${STARTED:-} $PID"
}

# Ends whatever start began, and waits for it.
stop_all() {
	local pid
	for pid in ${STARTED:-}; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in ${STARTED:-}; do
		wait_gone "$pid" 5 || kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	STARTED=
}

wait_gone() {
	wait_for "${2:-30}" is_gone "$1"
}

# No such process, or one that has ended and waits to be reaped.
is_gone() {
	local state=
	! kill -0 "$1" 2>/dev/null || ! read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" || [ "$state" = Z ]
}

# A process that ended by itself with status 0, not by a signal: ended_well PID
ended_well() {
	wait "$1"
}

# The number of open descriptors of a process.
count_fds() {
	ls "/proc/$1/fd" | wc -l
}

# Healthy when GET /health answers OK: is_healthy PORT
is_healthy() {
	local fd reply
	{ exec {fd}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
	trap '' PIPE # a server that refuses this connection may have closed it
	printf 'GET /health HTTP/1.0\r\n\r\n' 2>/dev/null >&"$fd" || true
	trap - PIPE
	mapfile -t reply <&"$fd"
	exec {fd}>&-
	[[ ${reply[0]} == HTTP/1.?' 200 '* && ${reply[-1]} == OK ]]
}

# says_why_not PROGRAM ARG...: whatever it cannot open at its start, it says so and exits with 1.
says_why_not() {
	local n
	for n in 4 5 6 7 8; do
		# shellcheck disable=SC2016 # expands in the inner shell
		run bash -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n "$1"; shift; exec "$@"' - "$n" "$@"
		[ "$status" -eq 1 ]
		[[ $output == *" error cannot "* ]]
	done
	run "$@" -e /no/such/folder/events
	[ "$status" -eq 1 ]
	[[ $output == *"cannot open '/no/such/folder/events' for events: No such file"* ]]
}

# metrics_on_full_disk METRIC COMMAND ...: starts COMMAND with its --metrics file alone on a disk that
# becomes full; the file stays as it was, and young. Output is in COMMAND.log.
metrics_on_full_disk() {
	local metric=$1 small
	shift
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	mkdir small
	# shellcheck disable=SC2016 # expands in the inner shell
	start "$1" unshare -rm sh -c 'exec 9>&-; mount -t tmpfs -o size=100k tmpfs small && exec "$@"' - "$@" --metrics small/metrics
	small=/proc/$PID/root$PWD/small
	wait_for 10 grep -q "$metric" "$small/metrics" || return 1
	head -c 200000 /dev/zero >"$small/ballast" 2>/dev/null || true
	touch -d '5 minutes ago' "$small/metrics"
	is_fresh() { [ "$(find "$small/metrics" -mmin -1)" ]; }
	wait_for 10 is_fresh || return 1
	grep -q "$metric" "$small/metrics"
}

# finished NAME: until that recording is, which on a busy machine is much longer than its FFmpeg takes: that has the
# least priority.
finished() {
	wait_for 180 test -s "st/$1.json"
}
