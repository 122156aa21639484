#!/usr/bin/env bats
# A thousand people who come and go leave nothing behind in msr-sfu.

load ../support/common

setup() {
	PORT=$(free_port)
	URL=http://127.0.0.1:$PORT
	RTC_MIN_PORT=$((10000 + PORT % 9000))
	RTC_MAX_PORT=$((RTC_MIN_PORT + 40))
	export RTC_MIN_PORT RTC_MAX_PORT
	start sfu env PORT="$PORT" msr-sfu -e "$BATS_TEST_TMPDIR/events"
	SFU=$PID
	wait_for 10 is_healthy "$PORT"
}

teardown() {
	stop_all
}

client() {
	$PYTHON "$SUPPORT/sfu.py" "$URL" "$@"
}

rss_kib() {
	awk '/^VmRSS/ { print $2 }' "/proc/$SFU/status"
}

n_threads() {
	awk '/^Threads/ { print $2 }' "/proc/$SFU/status"
}

fds_at_most() {
	[ "$(count_fds "$SFU")" -le "$1" ]
}

no_ports_used() {
	curl -s "$URL/metrics" | grep -q '^msr_sfu_ports_used 0$'
}

@test "1,000 join and leave, 100 of them with media: no port, thread, descriptor or memory is lost" {
	client cycles 200 20
	wait_for 20 no_ports_used
	fds=$(count_fds "$SFU") threads=$(n_threads) rss=$(rss_kib)
	client cycles 1000 100
	wait_for 20 no_ports_used
	wait_for 20 fds_at_most $((fds + 4))
	echo "descriptors $fds, now $(count_fds "$SFU"); threads $threads, $(n_threads); RSS $rss KiB, $(rss_kib)"
	[ "$(n_threads)" -eq "$threads" ]
	[ "$(rss_kib)" -le $((rss + 4096)) ]
}

@test "a range that is full over and over: 503 each time, and it recovers" {
	for _ in $(seq 5); do
		client ports 41
		for room in $(curl -s "$URL/rooms" | jq -r '.rooms[].room_id'); do
			curl -sf -X DELETE "$URL/rooms/$room"
		done
		wait_for 20 no_ports_used
	done
}
