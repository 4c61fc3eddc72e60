# Shortcuts. `make check` is what every change has to pass.
.PHONY: check fmt lint test doc demo core-thumb core-aarch64 bench-accuracy bench-memory bench-kernels bench-solver \
	bench-scaling build-arm deb test-arm firmware

check:
	.ci/run

fmt:
	cargo fmt --all

lint:
	cargo clippy --workspace --all-targets -- -D warnings

test:
	cargo test --features encoder

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

demo:
	cargo run --release -- demo

# `rustup target add thumbv7em-none-eabihf aarch64-unknown-linux-gnu` first.
core-thumb:
	cargo build -p topgraft-core --no-default-features --target thumbv7em-none-eabihf

core-aarch64:
	cargo check -p topgraft-core --all-features --target aarch64-unknown-linux-gnu

# aarch64-unknown-linux-gnu, armv7-unknown-linux-gnueabihf or arm-unknown-linux-musleabihf; docs/boards.md says which and why.
TARGET ?= aarch64-unknown-linux-gnu

build-arm:
	deploy/build-arm $(TARGET)

deb:
	deploy/deb $(TARGET)

# The tests of core and of the program as ARM CPUs, by QEMU.
test-arm:
	.ci/run embedded firmware arm

firmware:
	firmware/run

# Folder with models/, data/images/ and data/splits/.
SHARED ?= ../shared

bench-accuracy:
	cargo bench --bench accuracy -- $(SHARED)

bench-memory:
	cargo bench --bench memory

bench-kernels:
	cargo bench -p topgraft-core --bench kernels

# The peers need benches/peers/requirements.txt.
PYTHON ?= python3

bench-solver:
	PYTHON=$(PYTHON) cargo bench -p topgraft-core --bench solver -- $(abspath $(SHARED))

bench-scaling:
	cargo bench -p topgraft-core --bench scaling -- $(abspath docs/performance/scaling.csv)
	$(PYTHON) benches/peers/scaling.py docs/performance/scaling.csv docs/performance/scaling.svg
