#!/usr/bin/env bats
# What msr-ws and msr-record carry together: 500 sessions at 50 parts a second for a minute, and 5,000
# that are idle, in 256 MiB of memory.
# serial

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	load=$BATS_TEST_DIRNAME/../../build/tests/bench/ws_load
	make -s -C "$BATS_TEST_DIRNAME/../.." benches >/dev/null
	ulimit -n 20000
	port=$(free_port)
	ring=test$port
	start record msr-record -i "shm:$ring" -d storage --audio wav --no-pictures -e record.events --metrics record.prom
	record=$PID
	start ws msr-ws -p "$port" -o "shm:$ring" -e ws.events
	ws=$PID
	wait_for 5 is_healthy "$port"
}

teardown() {
	stop_all
	rm -f "/dev/shm/msr-test$port" "/dev/shm/msr-test$port".*
}

# Kilobytes of both programs, shared pages counted once.
memory_kb() {
	cat "/proc/$ws/smaps_rollup" "/proc/$record/smaps_rollup" | awk '$1 == "Pss:" { n += $2 } END { print n }'
}

# CPU seconds of a process so far.
cpu_s() {
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$1/stat"
}

# Notes the highest memory while the given process runs.
peak_while() {
	local now
	peak=0
	while ! is_gone "$1"; do
		now=$(memory_kb)
		[ "$now" -le "$peak" ] || peak=$now
		sleep 0.5 # between two samples
	done
}

@test "500 sessions of 20 ms parts for 60 s: every file complete, nothing dropped, below 256 MiB" {
	start load "$load" "$port" "/room/s%d?media=audio&codec=s16le&rate=8000" 500 50 320 60
	peak_while "$PID"
	cat load.log
	sent=$(awk '$1 == "sent" { print $2 }' load.log)
	[ "$sent" -ge 1499000 ]
	echo "peak $((peak / 1024)) MiB; CPU seconds: msr-ws $(cpu_s "$ws"), msr-record $(cpu_s "$record")"
	[ "$peak" -lt $((256 * 1024)) ]
	finished() { [ "$(find storage -name 's*.json' | wc -l)" = 500 ]; }
	wait_for 600 finished # by two ffmpeg at a time, at low priority
	# Each part is there, none missing, none twice, and the sound is as long as what was sent.
	[ "$(cat storage/s*.json | jq -s 'map(.parts) | add')" = "$sent" ]
	[ "$(cat storage/s*.json | jq -s 'map(.missing + .duplicates) | add')" = 0 ]
	[ "$(cat storage/s*.json | jq -s 'map(select((.duration - .parts * 0.02) | fabs > 0.001)) | length')" = 0 ]
	[ "$(jq -s 'map(select(.ev == "frame-error")) | length' ws.events)" = 0 ]
}

@test "5,000 idle sessions in 256 MiB" {
	start load "$load" "$port" "/room%d/s?media=audio&codec=s16le" 5000 0 320 15
	connected() { [ "$(grep -c '"ev":"connect"' ws.events)" = 5000 ]; }
	wait_for 30 connected
	peak_while "$PID"
	echo "peak $((peak / 1024)) MiB"
	[ "$peak" -lt $((256 * 1024)) ]
}
