# What a developer does here. `make` lists it.

.PHONY: help setup demo deb test check count fmt clippy doc fuzz licences bench

help:
	@echo "make demo      try it out: everything on this machine, no account, no configuration"
	@echo "make deb       the Debian package, in target/debian"
	@echo "make test      all tests, with a real browser and real apps; installs what is missing"
	@echo "make check     formatting, lints, documentation, fuzz targets, licences"
	@echo "make bench     schoolgate beside other proxies on this machine (docs/performance.md); installs what is missing"
	@echo "make count     what a request costs, in instructions and system calls; fails when it has become dearer"
	@echo "make setup     only install what is missing for the tests"

setup:
	scripts/setup test

demo:
	scripts/setup build
	cargo run --locked -- demo

# Some minutes: a release is linked as a whole.
deb:
	scripts/setup deb
	target/tools/bin/cargo-deb deb -- --locked

test: setup
	cargo test --locked

check: fmt clippy doc fuzz licences

fmt:
	cargo fmt --check

clippy:
	cargo clippy --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked

# ARGS="authenticated --profile FILE": benches/count/main.rs has more.
count:
	scripts/setup count
	cargo build --profile bench --locked --bin schoolgate --example pass-through
	cargo bench --locked --bench count -- $(ARGS)

# That the fuzz targets compile, with the versions of everything that the program has.
fuzz:
	cp Cargo.lock fuzz/Cargo.lock
	CARGO_TARGET_DIR=target cargo check --manifest-path fuzz/Cargo.toml

licences:
	scripts/licences

# What to compare and for how long: make bench ARGS="--only auth --rounds 5". It builds what it measures as it is
# shipped; it itself only watches.
bench:
	scripts/setup bench
	cargo bench --locked --profile dev --bench compare -- $(ARGS)
