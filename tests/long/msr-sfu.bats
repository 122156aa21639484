#!/usr/bin/env bats
# Thousands of people who come and go leave nothing behind in msr-sfu.

load ../support/common

setup() {
	PORT=$(free_port)
	URL=http://127.0.0.1:$PORT
	RTC_MIN_PORT=$((10000 + PORT % 9000))
	RTC_MAX_PORT=$((RTC_MIN_PORT + 40))
	export RTC_MIN_PORT RTC_MAX_PORT
}

serve() {
	start sfu env PORT="$PORT" msr-sfu -e "$BATS_TEST_TMPDIR/events" "$@"
	SFU=$PID
	wait_for 10 is_healthy "$PORT"
}

teardown() {
	stop_all
}

client() {
	$PYTHON "$SUPPORT/sfu.py" "$URL" "$@"
}

api() {
	$PYTHON "$SUPPORT/sfu_api.py" "$URL" "$@"
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
	serve
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
	serve
	for _ in $(seq 5); do
		api ports 41
		for room in $(curl -s "$URL/rooms" | jq -r '.rooms[].room_id'); do
			curl -sf -X DELETE "$URL/rooms/$room"
		done
		wait_for 20 no_ports_used
	done
}

attack() {
	timeout 300 "$PYTHON" "$SUPPORT/attack.py" "$URL" "$@"
}

@test "2,000 rooms and 2,030 users: more are refused with the reason, and the next crowd needs no more memory" {
	RTC_MAX_PORT=$((RTC_MIN_PORT + 2029)) # one a user
	serve --max-rooms 2000 --max-users 50 --user-timeout 600s --rtc-address 127.0.0.1
	local before last=0 fds
	before=$(rss_kib) fds=$(count_fds "$SFU")
	# What a crowd gave back does not lie as the next one takes it, so the first few differ.
	for _ in 1 2 3 4 5; do
		last=$(rss_kib)
		attack fill 2000 50 2030
		echo "RSS $before KiB; empty $last, full $(rss_kib)"
		attack clear 2000
		wait_for 20 fds_at_most $((fds + 4))
		[ "$(rss_kib)" -le $((before + 2030 * 128)) ]
	done
	[ "$(rss_kib)" -le $((last + 8192)) ] # 4 KiB a user
}
