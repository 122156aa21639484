#!/usr/bin/env bats
# Attacks on msr-sfu, each beside a call of others that must not notice: it goes as well as a call on a
# second msr-sfu on the same machine, which nobody attacks. MSR_BUILD names another build to attack
# (tests/long does that with the sanitizers).
# serial: pauses are measured, and a machine with much else to do makes its own

load ../support/common

setup_file() {
	load ../support/common
	PORT=$(free_port)
	RTC_MIN_PORT=$((10000 + PORT % 9000))
	RTC_MAX_PORT=$((RTC_MIN_PORT + 60))
	URL=http://127.0.0.1:$PORT
	WITNESS=$BATS_FILE_TMPDIR/witness.json
	export PORT RTC_MIN_PORT RTC_MAX_PORT URL WITNESS
	msr-sfu -p "$PORT" -e "$BATS_FILE_TMPDIR/events" --record -o "$BATS_FILE_TMPDIR/frames" >"$BATS_FILE_TMPDIR/sfu.log" 2>&1 3>&- &
	SFU=$!
	local control
	control=$(free_port)
	RTC_MIN_PORT=$((RTC_MAX_PORT + 1)) RTC_MAX_PORT=$((RTC_MAX_PORT + 20)) msr-sfu -p "$control" >"$BATS_FILE_TMPDIR/control.log" 2>&1 3>&- &
	CONTROL=$!
	wait_for 20 is_healthy "$PORT"
	wait_for 20 is_healthy "$control"
	$PYTHON "$SUPPORT/sfu.py" "$URL" witness "$WITNESS" "http://127.0.0.1:$control" >"$BATS_FILE_TMPDIR/witness.log" 2>&1 3>&- &
	HEARS=$!
	export SFU CONTROL HEARS
	wait_for 30 test -f "$WITNESS"
}

teardown_file() {
	kill "$HEARS" "$CONTROL" "$SFU" || true
	wait_gone "$CONTROL" 10
	wait_gone "$SFU" 10 # within the time that ends every call, and without a report of a sanitizer
	! grep -E "Sanitizer|runtime error" "$BATS_FILE_TMPDIR/sfu.log"
}

# heard CALL: how many frames.
heard() {
	jq ".$1.frames" "$WITNESS"
}

hears_more_than() {
	[ "$(heard attacked)" -gt "$1" ] && [ "$(heard control)" -gt "$2" ]
}

# The attack is answered as it should be; the server lives; and its witness has heard what that of the
# control call has: not more than 1 % is missing beyond that, no pause is 0.2 s longer.
survives() {
	rm "$WITNESS" # it begins anew
	wait_for 20 test -f "$WITNESS"
	timeout 240 "$PYTHON" "$SUPPORT/attack.py" "$URL" "$@"
	is_healthy "$PORT"
	kill -0 "$SFU"
	wait_for 20 hears_more_than $(($(heard attacked) + 25)) $(($(heard control) + 25))
	cat "$WITNESS"
	jq -e '.attacked.pause <= .control.pause + 0.2
		and .attacked.lost / .attacked.frames <= .control.lost / .control.frames + 0.01
		and ([.attacked, .control] | all(.pitch - 440 | fabs < 40))' "$WITNESS"
}

@test "floods of STUN, DTLS, RTP and RTCP from strangers" {
	survives flood
}

@test "media before DTLS" {
	survives early
}

@test "replayed and changed SRTP" {
	survives replay
}

@test "authentic RTP and RTCP that are nonsense" {
	survives packets
}

# Hours that a clock jumps are no hours of a file, and what nobody can play does not keep the rest from it.
@test "packets and reports that should not be, and may be; what is recorded of them is played" {
	survives odd
	cd "$BATS_TEST_TMPDIR"
	msr-frames filter room=odd <"$BATS_FILE_TMPDIR/frames" | msr-record -d storage --no-pictures -i -
	jq -es 'all(.duration > 3 and .duration < 60)' storage/ann.json storage/eve.json
	for file in storage/ann.mp3 storage/eve.webm; do
		ffmpeg -v error -i "$file" -map 0:a -f null - 2>errors
		[ ! -s errors ]
	done
}

@test "descriptions of a mebibyte, of ten thousand lines, and broken ones" {
	survives descriptions
}

@test "thousands of rooms, and more users than ports" {
	survives crowd 2000 200
}

@test "half-open HTTP" {
	survives half_open
}
