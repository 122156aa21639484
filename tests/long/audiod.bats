#!/usr/bin/env bats
# serial
# msr-audiod under full load: 1,000 sessions for a minute, 5,000 that are idle, 10,000 that come and go,
# workers killed for a minute, a client that never reads, the end under load; and the shell tests' clients
# against a build with AddressSanitizer.

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	make -s -C "$BATS_TEST_DIRNAME/../.." build/tests/bench/audiod_load >/dev/null
	LOAD=$BATS_TEST_DIRNAME/../../build/tests/bench/audiod_load
	read -r PORT HEALTH < <(free_ports 2)
	URL=ws://127.0.0.1:$PORT/ws
	cd "$BATS_TEST_TMPDIR" || return
	ulimit -n 20000
}

teardown() {
	stop_all
}

serve() {
	start audiod msr-audiod -p "$PORT" --health-port "$HEALTH" -e events "$@"
	AUDIOD=$PID
	wait_for 20 is_healthy "$HEALTH"
}

client() {
	$PYTHON "$SUPPORT/audiod.py" "$URL" "$@"
}

# metric_is NAME VALUE
metric_is() {
	[ "$(curl -sf "http://127.0.0.1:$HEALTH/metrics" | awk -v name="$1" '$1 == name { print $2 }')" = "$2" ]
}

# All processes of the server.
processes() {
	echo "$AUDIOD"
	pgrep -P "$AUDIOD"
}

# Memory of all, shared pages counted once, MiB.
memory_mib() {
	for pid in $(processes); do cat "/proc/$pid/smaps_rollup"; done | awk '$1 == "Pss:" { n += $2 } END { print int(n / 1024) }'
}

context_switches() {
	for pid in $(processes); do cat "/proc/$pid/status"; done | awk '/ctxt_switches/ { n += $2 } END { print n }'
}

@test "1,000 sessions of 50 packets a second for 60 s: nothing lost or wrong, below 300 MiB" {
	serve --session-timeout 60s
	run "$LOAD" "$PORT" "$AUDIOD" 1000 1024 60 paced 50
	echo "packets/s, CPU us, lost, wrong, p50 us, p99 us, KiB: $output" >&3
	[ "$status" -eq 0 ]
	awk '$1 < 45000 || $3 || $4 || $7 > 300 * 1024 { exit 1 }' <<<"$output"
}

@test "5,000 idle sessions in 300 MiB, and none of them wakes anybody" {
	serve --session-timeout 0 --max-sessions 5000
	grep -q "up to 5000 receivers" audiod.log
	start load "$LOAD" "$PORT" "$AUDIOD" 5000 1024 40 paced 0
	wait_for 300 metric_is msr_audiod_receivers 5000
	sleep 1 # what their coming has left to do
	local before
	before=$(context_switches)
	sleep 15 # the time that is measured
	woken=$(($(context_switches) - before))
	echo "$(memory_mib) MiB, $woken context switches in 15 s" >&3
	[ "$woken" -le 4 ]
	[ "$(memory_mib)" -lt 300 ]
}

@test "10,000 connections that come and go leave no descriptor, process, shared memory or memory" {
	serve
	client cycles 500
	wait_for 5 metric_is msr_audiod_sessions 0
	local fds shm procs memory
	fds=$(count_fds "$AUDIOD") shm=$(find /dev/shm -name "msr-audiod-$AUDIOD-*" | wc -l)
	procs=$(processes | wc -l) memory=$(memory_mib)
	client cycles 10000
	wait_for 5 metric_is msr_audiod_sessions 0
	echo "memory $memory MiB before, $(memory_mib) after" >&3
	[ "$(count_fds "$AUDIOD")" -le "$fds" ]
	[ "$(find /dev/shm -name "msr-audiod-$AUDIOD-*" | wc -l)" -eq "$shm" ]
	[ "$(processes | wc -l)" -eq "$procs" ]
	[ "$(memory_mib)" -le $((memory + 2)) ]
}

@test "kill -9 of workers every 100 ms for 60 s: all 200 sessions survive" {
	serve --session-timeout 60s
	client storm "$AUDIOD" 60 200 >&3
}

@test "a killed worker is replaced within 200 ms" {
	serve
	client replaced "$AUDIOD" median >&3
}

@test "a client that never reads is disconnected" {
	serve
	client slow events
	jq -e 'select(.ev == "disconnect" and .reason == "does not read") | .code == 1006' events
	metric_is 'msr_web_closed_total{reason="slow"}' 1
}

@test "SIGTERM under a flood of 100 clients: 1001 for all, exit status 0 within 2 s" {
	serve
	start load "$LOAD" "$PORT" "$AUDIOD" 100 1024 20 flood 16
	local begin
	moving() { ! metric_is msr_audiod_messages_total 0 && ! metric_is msr_audiod_messages_total ""; }
	wait_for 20 moving
	begin=$(date +%s%N)
	kill "$AUDIOD"
	ended_well "$AUDIOD"
	took=$((($(date +%s%N) - begin) / 1000000))
	echo "$took ms" >&3
	[ "$took" -le 2000 ]
	[ "$(jq -s 'map(select(.ev == "disconnect" and .code == 1001)) | length' events)" = 100 ]
	[ -z "$(find /dev/shm -name "msr-audiod-$AUDIOD-*")" ]
}

@test "with AddressSanitizer: isolation, hostile clients, killed workers" {
	make -s -C "$BATS_TEST_DIRNAME/../.." SANITIZE=address,undefined build-address-undefined/bin/msr-audiod >/dev/null
	PATH=$BATS_TEST_DIRNAME/../../build-address-undefined/bin:$PATH
	serve --allow-exec pass=cat --session-timeout 60s
	client isolation 100
	client lengths
	client program pass
	"$PYTHON" "$SUPPORT/audiod_hostile.py" "$URL"
	client storm "$AUDIOD" 10 20 1 # it takes a while to start
	kill "$AUDIOD"
	ended_well "$AUDIOD"
	run ! grep -E 'Sanitizer|runtime error' audiod.log
}
