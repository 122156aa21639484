#!/usr/bin/env bats
# Every unit test, every fuzz corpus and the calls of msr-sfu once more under ThreadSanitizer, and the
# attacks on it under all sanitizers.

load ../support/common

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	# What is told of libraries without instruments stands in tsan.supp, with reasons.
	export TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp"
	# Of memory that GLib hands from thread to thread itself nothing is seen.
	export G_SLICE=always-malloc
}

# Runs a file of shell tests on another build; no sanitizer of any program may report anything.
on_build() {
	local log=$BATS_TEST_TMPDIR/report
	MSR_BUILD=$1 TSAN_OPTIONS="$TSAN_OPTIONS:log_path=$log" ASAN_OPTIONS="log_path=$log" \
		UBSAN_OPTIONS="print_stacktrace=1:log_path=$log" bats --tap "$2"
	if ls "$log".* 2>/dev/null; then
		head -n 60 "$log".*
		return 1
	fi
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

@test "no call has a data race" {
	on_build build-thread tests/cmd/msr-sfu.bats
}

@test "no attack finds a data race" {
	on_build build-thread tests/cmd/msr-sfu-attacks.bats
}

@test "no attack finds a fault of memory or undefined behaviour" {
	on_build build-address-undefined tests/cmd/msr-sfu-attacks.bats
}
