#!/usr/bin/env bats
# 50 calls of two people recorded at once for a minute, on two cores, from a ring and through msr-sfu:
# nothing is missing, memory is bounded, and finishing keeps up.
# serial

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	make -s -C "$BATS_TEST_DIRNAME/../.." benches >/dev/null
	CALLS=${MSR_CALLS:-50} CALL_S=${MSR_CALL_SECONDS:-60}
	ring=calls$$
	start record msr-record -i "shm:$ring" -d storage -e record.events --metrics record.prom
	record=$PID
}

teardown() {
	stop_all
	rm -f "/dev/shm/msr-$ring" "/dev/shm/msr-$ring".*
}

peak_kb() {
	awk '/^VmHWM/ { print $2 }' "/proc/$1/status"
}

cpu_s() {
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$1/stat"
}

# How much the recorder needed; then every recording is whole, and of the length of the call.
finishes_all() {
	echo "peak $(($(peak_kb "$record") / 1024)) MiB of which the ring is 64; CPU $(cpu_s "$record") s of $CALL_S"
	[ "$(peak_kb "$record")" -lt $((256 * 1024)) ]
	start_s=$SECONDS
	finished() { [ "$(find storage -name 'p*.json' | wc -l)" = $((2 * CALLS)) ]; }
	wait_for $((CALLS * 4 + 60)) finished
	echo "finished $((SECONDS - start_s)) s after the end; CPU of msr-record and its children $(ps -o cputimes= --ppid "$record" -p "$record" | xargs)"
	[ "$(cat storage/p*.json | jq -s 'map(.missing) | add')" = 0 ]
	[ "$(cat storage/p*.json | jq -s "map(select((.duration - $CALL_S) | fabs > 0.1)) | length")" = 0 ]
	for name; do
		$PYTHON "$SUPPORT/call.py" measure "storage/$name.webm" | tee measured.json
		jq -e ".errors == \"\" and .worst_ms <= 40 and (.beeps | length) == $CALL_S" measured.json
	done
}

@test "50 calls of two at once: every recording whole and in sync, in bounded memory" {
	$PYTHON "$SUPPORT/call.py" make --seconds "$CALL_S" >capture
	"$BATS_TEST_DIRNAME/../../build/tests/bench/call_load" "$ring" capture "$CALLS" | tee load
	[ "$(awk '{ print $4 }' load)" = 0 ] # nobody had to wait: msr-sfu would have dropped
	finishes_all p0 p$((2 * CALLS - 1))
}

@test "the same 50 calls through msr-sfu, with everybody received by somebody" {
	port=$(free_port)
	start sfu msr-sfu -p "$port" --record -o "shm:$ring" --max-users 300 --rtc-address 127.0.0.1 -e sfu.events
	sfu=$PID
	wait_for 5 curl -sf "http://127.0.0.1:$port/health"
	$PYTHON "$SUPPORT/call.py" make --seconds "$CALL_S" >capture
	"$BATS_TEST_DIRNAME/../../build/tests/bench/sfu_calls" 127.0.0.1 "$port" capture "$CALLS" | tee load
	echo "CPU of msr-sfu $(cpu_s "$sfu") s"
	curl -s "http://127.0.0.1:$port/metrics" >metrics
	[ "$(awk '$1 == "msr_sfu_record_dropped_total" { print $2 }' metrics)" = 0 ]
	# All that was sent (a fortieth and less is reports) has also arrived.
	awk -v people=$((2 * CALLS)) '{ exit !($6 >= $2 * people * 0.97) }' load
	kill "$sfu"
	wait_gone "$sfu"
	finishes_all publisher "publisher~$((2 * CALLS))"
}
