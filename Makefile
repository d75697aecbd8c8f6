# What a developer does here. `make` lists it.

.PHONY: help setup demo test check fmt clippy doc licences

help:
	@echo "make demo      try it out: everything on this machine, no account, no configuration"
	@echo "make test      all tests, with a real browser and real apps; installs what is missing"
	@echo "make check     formatting, lints, documentation, licences"
	@echo "make setup     only install what is missing for the two above"

setup:
	scripts/setup test

demo:
	scripts/setup build
	cargo run --locked -- demo

test: setup
	cargo test --locked

check: fmt clippy doc licences

fmt:
	cargo fmt --check

clippy:
	cargo clippy --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked

licences:
	scripts/licences
