# msr: one makefile for everything. `make help` lists the targets.
#
# A program or a library is one line each in the tables below: what it uses and which
# pkg-config packages it needs. Sources are found by folder.

# ---- libraries of lib/: what each uses (downwards only; `make lint` checks it) and links ----

LIBS = base event loop frame web rtp sdp peer media

uses_base  =
uses_event = base
uses_loop  = base
uses_frame = loop base
uses_web   = loop base
uses_rtp   = base
uses_sdp   = rtp base
uses_peer  = loop base
uses_media = frame base

pkgs_web   = libwebsockets
pkgs_peer  = nice libssl libcrypto libsrtp2 liburing
pkgs_media = sndfile

# ---- programs of cmd/: libraries and packages ----

libs_msr-frames    = media rtp frame
pkgs_msr-frames    = jansson
libs_msr-ws        = media web event frame
pkgs_msr-ws        = jansson
libs_msr-record    = media rtp event frame
pkgs_msr-record    = jansson
libs_msr-taskscan  = loop event
pkgs_msr-taskscan  = jansson libcrypto
libs_msr-sfu       = peer sdp rtp web event frame
pkgs_msr-sfu       = jansson
libs_msr-audiod    = web event frame
pkgs_msr-audiod    = jansson speexdsp libebur128
libs_msr-chat      = web event
pkgs_msr-chat      = jansson libutf8proc libedit sndfile libssl libcrypto libcrypt icu-i18n icu-uc

# ---- settings ----

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))

# Instrumented builds live beside the plain one: SANITIZE=address,undefined or thread.
comma := ,
BUILD := build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))

WARN = -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes \
       -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wwrite-strings -Wformat=2 \
       -Wno-format-nonliteral
# What make check compiles beside the programs is soon compiled: -O1, and of debug information the lines
# that reports name. Two warnings know too little then (and Clang does not know them).
ifeq "$(SANITIZE)" "address,undefined"
O      ?= 1
CFLAGS ?= -g1
WARN += -Wno-restrict -Wno-format-truncation -Wno-unknown-warning-option
endif
O      ?= 2
CFLAGS ?= -g
ALL_CFLAGS = -std=gnu17 -O$(O) $(WARN) -fno-strict-aliasing -fstack-protector-strong \
	-D_GNU_SOURCE -DMSR_VERSION='"$(VERSION)"' -Ilib -MMD -MP -pthread $(CFLAGS) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
	$(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=undefined))
ALL_LDFLAGS = -pthread -Wl,--as-needed $(LDFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# A make called by make shares its jobs.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# A line a step; V=1 shows the whole commands.
Q   := $(if $(V),,@)
say  = @$(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),:,printf '  %-5s %s\n' $(1) $(2))

# ---- what there is ----

PROGRAMS := $(sort $(patsubst cmd/%/main.c,%,$(wildcard cmd/*/main.c)))
SCRIPTS  := $(notdir $(wildcard scripts/msr-*))
sources   = $(shell find $(1) -name '*.c' 2>/dev/null | sort)
objects   = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
# Libraries with all that they use, each once.
closure   = $(sort $(1) $(foreach r,$(1),$(call closure,$(uses_$(r)))))
archives  = $(patsubst %,$(BUILD)/lib/lib%.a,$(foreach r,$(call closure,$(1)),$(if $(sources_$(r)),$(r))))
packages  = $(sort $(2) $(foreach r,$(call closure,$(1)),$(pkgs_$(r))))
pkg_libs  = $(if $(1),$(shell pkg-config --libs $(1)))
link      = $(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
	    -Wl,--end-group $(call pkg_libs,$(1)) -lm

$(foreach r,$(LIBS),$(eval sources_$(r) := $(call sources,lib/$(r))))

# Headers of libraries outside the default path, for all objects alike.
PKG_CFLAGS := $(shell pkg-config --cflags $(sort $(foreach r,$(LIBS),$(if $(sources_$(r)),$(pkgs_$(r)))) \
	      $(foreach p,$(PROGRAMS),$(pkgs_$(p)))) 2>/dev/null)

# What is taken into the program as it is.
$(BUILD)/obj/cmd/msr-sfu/api/rest.o: examples/msr-sfu.openapi.json

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) -c -o $@ $<

define library
$(BUILD)/lib/lib$(1).a: $$(call objects,$$(sources_$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR,$$@)
	$(Q)$(AR) rcs $$@ $$^
endef
$(foreach r,$(LIBS),$(eval $(call library,$(r))))

define program
$(BUILD)/bin/$(1): $$(call objects,$$(call sources,cmd/$(1))) $$(call archives,$$(libs_$(1)))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(call link,$$(call packages,$$(libs_$(1)),$$(pkgs_$(1))))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(BUILD)/bin/%: scripts/%
	@mkdir -p $(@D)
	sed 's/@VERSION@/$(VERSION)/' $< >$@
	chmod 755 $@

.PHONY: all
all: $(patsubst %,$(BUILD)/bin/%,$(PROGRAMS) $(SCRIPTS))

# ---- tests: tests/unit/R/*_test.c and tests/fuzz/R/*_fuzz.c belong to library or program R and are
# ---- linked with it (a program's without its main.c) and what it uses. What several tests share lies beside
# ---- them: NAME.c is linked with those that include "NAME.h" themselves

UNIT := $(wildcard tests/unit/*/*_test.c)
FUZZ := $(wildcard tests/fuzz/*/*_fuzz.c)
UNIT_BINS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT))
REPLAY_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%_replay,$(FUZZ))
FUZZ_BINS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(FUZZ))

owner      = $(notdir $(patsubst %/,%,$(dir $(1))))
own_libs   = $(if $(filter $(1),$(LIBS)),$(1),$(libs_$(1)))
own_objs   = $(call objects,$(filter-out %/main.c,$(if $(filter $(1),$(LIBS)),,$(call sources,cmd/$(1)))))
shared     = $(wildcard $(patsubst "%.h",$(dir $(1))%.c,$(filter-out "../%,$(filter "%.h",$(file <$(1))))))

define test_program # source, binary, object with main(), further link flags
$(2): $$(call objects,$(1) $(call shared,$(1))) $(3) $$(call own_objs,$$(call owner,$(1))) \
		$$(call archives,$$(call own_libs,$$(call owner,$(1))))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(call link,$$(call packages,$$(call own_libs,$$(call owner,$(1))),$$(pkgs_$$(call owner,$(1))))) $(4)
endef
$(foreach t,$(UNIT),$(eval $(call test_program,$(t),$(patsubst tests/%.c,$(BUILD)/tests/%,$(t)),\
	$(BUILD)/obj/tests/support/test.o)))
$(foreach t,$(FUZZ),$(eval $(call test_program,$(t),$(patsubst tests/%.c,$(BUILD)/tests/%_replay,$(t)),\
	$(BUILD)/obj/tests/support/replay.o)))
$(foreach t,$(FUZZ),$(eval $(call test_program,$(t),$(patsubst tests/%.c,$(BUILD)/tests/%,$(t)),,\
	-fsanitize=fuzzer)))

# Its allocations fail one after the other.
$(BUILD)/tests/unit/base/nomem_test: ALL_LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc
# What packets need of the C library is counted (tests/support/needs.h).
COUNTS_NEEDS := msr-sfu/forward_test peer/peer_test
$(COUNTS_NEEDS:%=$(BUILD)/tests/unit/%): ALL_LDFLAGS += \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=pthread_mutex_lock
# Its clock is set.
$(BUILD)/tests/unit/msr-sfu/tap_test: ALL_LDFLAGS += -Wl,--wrap=clock_wall_us

# Programs that only measure: tests/bench/NAME.c and what lies in the folder tests/bench/NAME/, or in that
# of another which they share, linked with every library that they include from.
BENCH := $(wildcard tests/bench/*.c)
BENCH_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(BENCH))
bench_folder_sfu_calls = sfu_load
bench_sources = tests/bench/$(1).c $(wildcard tests/bench/$(or $(bench_folder_$(1)),$(1))/*.c)
bench_libs = $(filter $(LIBS),$(shell sed -n 's|^\#include "\([a-z]*\)/.*|\1|p' $(1) | sort -u))
pkgs_bench_ws_sink = libwebsockets
pkgs_bench_ws_echo = libwebsockets
pkgs_bench_sfu_load = jansson
pkgs_bench_sfu_calls = jansson
define bench_program
$(BUILD)/tests/bench/$(1): $$(call objects,$$(call bench_sources,$(1))) $$(call archives,$$(call bench_libs,$$(call bench_sources,$(1))))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(call link,$$(call packages,$$(call bench_libs,$$(call bench_sources,$(1))),$$(pkgs_bench_$(1))))
endef
$(foreach b,$(BENCH),$(eval $(call bench_program,$(notdir $(basename $(b))))))

.PHONY: tests fuzzers benches
tests: $(UNIT_BINS) $(REPLAY_BINS)
fuzzers: $(FUZZ_BINS)
benches: $(BENCH_BINS)

# ---- what people type ----

.PHONY: help deps run check check-long bench lint fuzz format install uninstall clean
help:
	@echo 'make            build into $(BUILD)/bin'
	@echo 'make run        install what is missing, build, start the whole system (data in ./var)'
	@echo 'make check      install what the tests need, build, run every test'
	@echo 'make check-long full loads, soaks, kill storms, ThreadSanitizer'
	@echo 'make bench      measure; make lint: linters; make fuzz SECONDS=60: all fuzzers'
	@echo 'make deps       install what building and running need (run, check, lint ... do, too)'
	@echo 'make format     clang-format; make clean: remove everything that was built'
	@echo 'make install PREFIX=$(PREFIX) DESTDIR=; make uninstall with the same'
	@echo 'make SANITIZE=address,undefined | thread   instrumented build in its own folder'

deps:
	@scripts/deps run

run:
	@scripts/deps run
	@$(MAKE) all
	@exec build/bin/msr-supervise run -d var

check:
	@scripts/deps run check
	@$(MAKE) all
	@$(MAKE) SANITIZE=address,undefined tests
	@scripts/check

check-long:
	@scripts/deps run check
	@$(MAKE) all
	@$(MAKE) SANITIZE=address,undefined all tests
	@$(MAKE) SANITIZE=thread all tests
	@scripts/check --long

bench:
	@scripts/deps run check bench
	@$(MAKE) all benches
	@scripts/bench

lint:
	@scripts/deps run lint
	@scripts/lint

SECONDS ?= 60
fuzz:
	@scripts/deps run check
	@$(MAKE) CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzzers
	@scripts/fuzz build-fuzzer-no-link-address-undefined $(SECONDS)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/msr
	install -m 755 $(patsubst %,$(BUILD)/bin/%,$(PROGRAMS) $(SCRIPTS)) $(DESTDIR)$(PREFIX)/bin
	for page in man/*.[1-8]; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	rm -rf $(DESTDIR)$(PREFIX)/share/msr/examples # with what an earlier version had
	cp -r examples $(DESTDIR)$(PREFIX)/share/msr/
	chmod -R u=rwX,go=rX $(DESTDIR)$(PREFIX)/share/msr/examples
	sed -i 's|/usr/local|$(PREFIX)|g' $(patsubst %,$(DESTDIR)$(PREFIX)/share/msr/examples/%,msr.service crontab)

uninstall:
	rm -f $(patsubst %,$(DESTDIR)$(PREFIX)/bin/%,$(PROGRAMS) $(SCRIPTS))
	for page in man/*.[1-8]; do \
		rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	rm -rf $(DESTDIR)$(PREFIX)/share/msr

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
