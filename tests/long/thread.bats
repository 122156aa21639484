#!/usr/bin/env bats
# Every unit test and every fuzz corpus once more under ThreadSanitizer.

load ../support/common

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
}

@test "no unit test has a data race" {
	bad=0
	for program in build-thread/tests/unit/*/*_test; do
		timeout 300 "$program" >"$BATS_TEST_TMPDIR/log" 2>&1 && continue
		echo "== $program"
		grep -v '^ok ' "$BATS_TEST_TMPDIR/log"
		bad=1
	done
	[ $bad -eq 0 ]
}

@test "no fuzz target has a data race over its corpus" {
	for target in tests/fuzz/*/*_fuzz.c; do
		echo "== $target"
		timeout 300 "build-thread/${target%.c}_replay" "${target%_fuzz.c}.corpus"
	done
}
