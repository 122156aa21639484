#!/usr/bin/env bats
# Minutes of kill -9 at random moments under load, of every process of the recorder.
# MSR_STORM_SECONDS (120) is how long each storm lasts. serial: it wants the machine.
# serial

bats_require_minimum_version 1.5.0
load ../support/common
load ../support/storm

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	storm_setup # sets dir
	seconds=${MSR_STORM_SECONDS:-120}
}

teardown() {
	supervise stop >/dev/null 2>&1 || true
	stop_all
}

# weather NAME ...: a load of 20 sessions while these are killed, then the proof.
# shellcheck disable=SC2154 # storm_setup sets dir
weather() {
	supervise start
	start load "$SUPPORT/parts.py" send "ws://127.0.0.1:$MSR_WS_PORT" 20 "$seconds" --report report --patience 120
	load=$PID
	storm "$((seconds - 5))" "$@"
	wait "$load" || true
	cat load.log storm.log
	[ -e report ]
	wait_for 180 all_finished
	"$SUPPORT/parts.py" check "$dir/storage" report
	supervise stop
	nothing_left
	grep -q '20 of 20 sessions acknowledged whole' load.log
}

@test "msr-record, and the ffmpeg that finishes, are killed again and again" {
	weather msr-record msr-record ffmpeg
}

# Kills each ffmpeg of the system as soon as it is seen, until the file "enough" is there.
no_ffmpeg() {
	until [ -e enough ]; do
		for pid in $(victims ffmpeg); do
			kill -9 "$pid" 2>/dev/null && echo "$pid" >>killed
		done
		sleep 0.02 # between two looks
	done
}

@test "every ffmpeg is killed for a while: a new start finishes all" {
	supervise start
	no_ffmpeg 3>&- &
	STARTED="${STARTED:-} $!"
	"$SUPPORT/parts.py" send "ws://127.0.0.1:$MSR_WS_PORT" 20 2 --report report
	killed_some() { [ -e killed ] && [ "$(wc -l <killed)" -ge 10 ]; }
	wait_for 60 killed_some
	touch enough
	supervise restart msr-record
	wait_for 120 all_finished
	"$SUPPORT/parts.py" check "$dir/storage" report
	supervise stop
	nothing_left
}

@test "msr-ws is killed again and again" {
	weather msr-ws
}

@test "the supervisor is killed again and again" {
	weather supervisor
}

@test "everything is killed again and again" {
	weather msr-record msr-ws msr-taskscan events supervisor ffmpeg
}
