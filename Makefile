# Loa Xã. `make demo` shows it, `make test` checks it; both install from Debian what is missing and say so.
export PATH := $(HOME)/.cargo/bin:$(PATH)
ARGS ?=

SOAK ?= 1000

# Packages that `make deb` builds.
PACKAGES ?= loaxa-box:amd64 loaxa-box:arm64 loaxa-box:armhf loaxa-central:amd64 loaxa-central:arm64

.PHONY: help demo test soak test-postgres broker-cluster mutants bench deny audio deb deb-test vm-test

help:
	@echo "make demo    a whole commune on this machine, without a sound card (ARGS=--once: ends by itself)"
	@echo "make test    format, lints, feature sets, all tests"
	@echo "make soak    $(SOAK) kills and network faults, about $(SOAK) seconds, and $(SOAK) power cuts while a box writes (LOAXA_SEED chooses which); 500 previews against the log; 8 h of sound at full speed; 10,000 damaged inputs of each format, recordings too; a cluster of brokers; a box in a virtual machine"
	@echo "make test-postgres  the tests of the centre, with its database on a PostgreSQL server (VERSION=18: of that version; 14, 16, 17 and 18 can be had)"
	@echo "make broker-cluster  the tests of box and centre on three brokers that run together, killed one by one"
	@echo "make mutants plants faults and counts those that the tests notice (ARGS='--generated 200': also faults of a generator)"
	@echo "make bench   the measurements of BENCHMARKS.md"
	@echo "make deny    licences and advisories of the dependencies (installs cargo-deny the first time)"
	@echo "make deb     packages for boxes and centres in target/deb (PACKAGES=loaxa-box:arm64: only one)"
	@echo "make deb-test  installs, upgrades and removes them in clean Debian 12 and 13 roots; those for boards emulated"
	@echo "make vm-test a box in a virtual machine: first start, emergencies, power cuts, errors of its disk, a clock without battery (amd64)"
	@echo "make audio   speech and music of playlists/ made again"

demo:
	@scripts/setup.sh
	cargo build --profile demo --locked
	@target/demo/loaxa demo $(ARGS)

test:
	@scripts/setup.sh --tests
	@scripts/test.sh

soak:
	@scripts/setup.sh --tests
	LOAXA_FUZZ=10000 cargo test --locked --test heart fuzz_corpus -- --nocapture
	LOAXA_SOAK=$(SOAK) cargo test --locked --test whole faults -- --nocapture
	LOAXA_POWER_CUTS=$(SOAK) cargo test --locked --test box power_cut -- --nocapture
	LOAXA_PREVIEWS=500 cargo test --locked --config profile.dev.package.loaxa-heart.opt-level=3 --test heart preview_truth -- --nocapture
	LOAXA_SOAK_MUTATIONS=10000 cargo test --locked --test sound damage_does_no_harm -- --nocapture
	LOAXA_SOAK_HOURS=8 cargo test --locked --test sound long_play -- --nocapture
	@$(MAKE) broker-cluster
	@$(MAKE) vm-test

test-postgres:
	@scripts/setup.sh --tests
	@scripts/test_postgres.sh $(ARGS)

broker-cluster:
	@scripts/setup.sh --tests
	@scripts/broker_cluster.sh $(ARGS)

mutants:
	@scripts/setup.sh --tests
	@scripts/mutants.sh $(ARGS)

bench:
	@scripts/setup.sh --tests
	@scripts/bench.sh $(ARGS)

deny:
	@command -v cargo-deny >/dev/null || { echo "installing cargo-deny (about 5 minutes)"; cargo install --locked cargo-deny; }
	cargo deny --locked check $(ARGS)

audio:
	@scripts/setup.sh --tests
	playlists/make.sh

deb:
	@scripts/setup.sh --packages
	@for package in $(PACKAGES); do scripts/deb.sh $${package%:*} $${package#*:} || exit 1; done

deb-test: deb
	@scripts/deb_test.sh

vm-test:
	@scripts/setup.sh --packages
	@for part in box central; do scripts/deb.sh loaxa-$$part amd64 || exit 1; done
	@scripts/vm_test.sh
