#!/usr/bin/env bats
# Rings for longer: kill storms with and without sanitizers, threads under ThreadSanitizer.

load ../support/common

setup() {
	TOP=$BATS_TEST_DIRNAME/../..
}

unit() {
	"$TOP/$1/tests/unit/frame/$2"
}

@test "60,000 kills of producer and consumer lose nothing" {
	MSR_STORM_ROUNDS=60000 unit build-address-undefined storm_test
}

@test "the same under ThreadSanitizer, which is slower and so hits other moments" {
	MSR_STORM_ROUNDS=20000 unit build-thread storm_test
}

@test "no data race between the threads of rings, sinks and sources" {
	for _ in $(seq 20); do
		unit build-thread ring_test
		unit build-thread sink_test
	done
}

@test "scribbled memory crashes nobody, again and again" {
	for _ in $(seq 50); do
		unit build-address-undefined scribble_test
	done
}

# The whole path with programs: a session made into a ring, passed to a second one by filters that
# are killed again and again, and taken out by readers that are killed too.
@test "sessions pass two rings whose readers are killed for a minute" {
	cd "$BATS_TEST_TMPDIR"
	export MSR_RING_DIR=$BATS_TEST_TMPDIR
	parts=30000
	head -c $((parts * 400)) /dev/urandom >bytes
	start make msr-frames make --room r --session s --codec u8 --rate 8000 --chunk 400 -R \
		--every 2ms -o shm:a --ring-size 1M bytes
	made=$PID
	start filter msr-frames filter -i shm:a -o shm:b --ring-size 1M
	filter=$PID
	start store msr-frames filter -i shm:b -o stored
	store=$PID
	kills=0
	while kill -0 "$made" 2>/dev/null; do
		if [ $((kills % 2)) -eq 0 ]; then
			kill -9 "$filter" && { wait "$filter" || true; }
			start filter msr-frames filter -i shm:a -o shm:b
			filter=$PID
		else
			kill -9 "$store" && { wait "$store" || true; }
			start store msr-frames filter -i shm:b -o stored
			store=$PID
		fi
		kills=$((kills + 1))
		sleep 0.0$((RANDOM % 90 + 10)) # a random moment
	done
	ended_well "$made"
	wait_for 20 sh -c 'msr-frames stat -j shm:a | jq -e ".used == 0"'
	wait_for 20 sh -c 'msr-frames stat -j shm:b | jq -e ".used == 0"'
	[ "$kills" -gt 100 ]
	# Passed on at least once each; what came twice is the same.
	msr-frames json -i stored kind=audio | jq .part >order
	sort -nu order | cmp - <(seq 0 $((parts - 1)))
	stop_all
}

teardown() {
	stop_all
}
