#!/usr/bin/env bats
# The recorder, whole: WebSocket, ring or pipe, file, task, and kill -9 in between. Parts carry their
# number in their samples, so that "exactly once" is counted in the finished file.
# takes 75 s

bats_require_minimum_version 1.5.0
load ../support/common
load ../support/storm

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	storm_setup # sets dir
	export MSR_RECORD_OPTIONS=--no-pictures
	parts=$SUPPORT/parts.py
}

teardown() {
	supervise stop >/dev/null 2>&1 || true
	[ -z "${PIPELINE:-}" ] || kill -- "-$PIPELINE" 2>/dev/null || true
	stop_all
}

url() {
	echo "ws://127.0.0.1:$MSR_WS_PORT"
}

# recording N: so many recordings are under way.
# shellcheck disable=SC2154 # storm_setup sets dir
recording() {
	[ "$(find "$dir/storage" -name '.*.part' | wc -l)" -ge "$1" ]
}

# Tasks: one for each recording, with the right digest.
tasks_are_right() {
	local json name
	for json in "$dir"/storage/*.json; do
		name=$(basename "$json" .json)
		wait_for 5 [ -e "$dir/tasks/$name.task" ] || return
		[ "$(jq -r '.files[0].sha256' "$dir/tasks/$name.task")" = "$(sha256sum <"$dir/storage/$name.wav" | cut -d' ' -f1)" ] || return
	done
	[ "$(find "$dir/tasks" -name '*.task' | wc -l)" = "$(find "$dir/storage" -name '*.json' | wc -l)" ]
}

@test "a plain pipe: msr-ws -o - | msr-record -d storage -i -" {
	start pipe setsid bash -c "msr-ws -p $MSR_WS_PORT -o - | msr-record -d storage -i -"
	PIPELINE=$PID # a group of its own: the shell's death alone would leave both running
	wait_for 5 is_healthy "$MSR_WS_PORT"
	$parts send "$(url)" 5 2 --report report
	finished() { [ "$(find storage -name '*.json' | wc -l)" = 5 ]; }
	wait_for 20 finished
	$parts check storage report
	[ "$(jq -r .duration storage/s0.json)" = 2 ] || jq -e '.duration > 1.99 and .duration < 2.01' storage/s0.json
}

@test "the system: sessions side by side become files and tasks; nothing is left" {
	supervise start
	$parts send "$(url)" 10 2 --report report
	wait_for 20 all_finished
	$parts check "$dir/storage" report
	tasks_are_right
	supervise stop
	nothing_left
}

@test "kill -9 of everything in turn, under load: each acknowledged part exactly once" {
	supervise start
	start load "$parts" send "$(url)" 6 8 --report report --patience 30
	load=$PID
	wait_for 5 curl -sf "http://127.0.0.1:$MSR_WS_PORT/health"
	for name in msr-record msr-ws msr-taskscan msr-record supervisor msr-ws; do
		read -rt 1.2 <> <(:) || true # the moment does not matter
		kill_one "$name"
	done
	wait "$load"
	wait_for 90 all_finished
	$parts check "$dir/storage" report
	tasks_are_right
	supervise stop
	nothing_left
}

@test "stopped in order and started again under load, and single programs restarted" {
	supervise start
	start load "$parts" send "$(url)" 6 6 --report report --patience 30
	load=$PID
	wait_for 10 recording 6
	supervise restart msr-ws
	supervise restart msr-record
	supervise stop
	nothing_left
	supervise start
	wait "$load"
	supervise stop
	nothing_left
	msr-record --recover -d "$dir/storage"
	$parts check "$dir/storage" report
}

@test "killed all at once, the next start finishes what was recorded" {
	supervise start
	start load "$parts" send "$(url)" 4 3 --report report --patience 0
	load=$PID
	wait_for 10 recording 4
	for pid in $(victims supervisor) $(victims msr-ws) $(victims msr-record) $(victims events); do
		kill -9 "$pid"
	done
	wait "$load" || true
	supervise start
	$parts send "$(url)" 1 0.1 --prefix other
	supervise stop
	nothing_left
	msr-record --recover -d "$dir/storage"
	$parts check "$dir/storage" report
}
