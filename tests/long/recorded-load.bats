#!/usr/bin/env bats
# 50 calls of two people recorded at once for a minute, on two cores: nothing is missing, memory is
# bounded, and finishing keeps up.
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

@test "50 calls of two at once: every recording whole and in sync, in bounded memory" {
	$PYTHON "$SUPPORT/call.py" make --seconds "$CALL_S" >capture
	"$BATS_TEST_DIRNAME/../../build/tests/bench/call_load" "$ring" capture "$CALLS" | tee load
	echo "peak $(($(peak_kb "$record") / 1024)) MiB of which the ring is 64; CPU $(cpu_s "$record") s of $CALL_S"
	[ "$(awk '{ print $4 }' load)" = 0 ] # nobody had to wait: msr-sfu would have dropped
	[ "$(peak_kb "$record")" -lt $((256 * 1024)) ]
	start_s=$SECONDS
	finished() { [ "$(find storage -name 'p*.json' | wc -l)" = $((2 * CALLS)) ]; }
	wait_for $((CALLS * 4 + 60)) finished
	echo "finished $((SECONDS - start_s)) s after the end; CPU of msr-record and its children $(ps -o cputimes= --ppid "$record" -p "$record" | xargs)"
	[ "$(cat storage/p*.json | jq -s 'map(.missing) | add')" = 0 ]
	[ "$(cat storage/p*.json | jq -s "map(select((.duration - $CALL_S) | fabs > 0.1)) | length")" = 0 ]
	for name in p0 p$((2 * CALLS - 1)); do
		$PYTHON "$SUPPORT/call.py" measure "storage/$name.webm" | tee measured.json
		jq -e ".errors == \"\" and .worst_ms <= 40 and (.beeps | length) == $CALL_S" measured.json
	done
}
