#!/usr/bin/env bats
# The steps of examples/docker/Dockerfile, in roots of Debian by chroot; takes the network, and minutes.

load ../support/common

@test "the images are made by the steps of the Dockerfile, and what they start serves and stops" {
	[ "$(id -u)" = 0 ] || skip "chroot needs root"
	[ "${MSR_DEBIAN_ROOT:-}" ] || command -v debootstrap >/dev/null || skip "there is no debootstrap, nor MSR_DEBIAN_ROOT"
	unshare -m true 2>/dev/null || skip "nothing can be mounted here"
	PORT=$(free_port) MSR_WS_PORT=$(free_port)
	export PORT MSR_WS_PORT RTC_MIN_PORT=$((10000 + PORT % 9000))
	"$BATS_TEST_DIRNAME/../../examples/docker/check" ${MSR_DEBIAN_ROOT:+"$MSR_DEBIAN_ROOT"}
}
