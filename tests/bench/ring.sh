#!/bin/sh
# Rings beside memcpy and a plain pipe, between two processes: throughput and wake-up latency.
set -eu
exec build/tests/bench/ring "${SECONDS_EACH:-0.3}"
