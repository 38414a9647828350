# Huying. `make demo` runs the main job, `make test` runs every test; both install what they need first.
# Needs: a Rust toolchain, a Debian-like system. Everything else is fetched.

CARGO ?= cargo
MODEL := data/models/ggml-base-q8_0.bin
# What the build, the demo and the tests need from the distribution.
BUILD_PACKAGES := cmake g++ make pkg-config python3 python3-pip npm
TEST_PACKAGES := sip-tester baresip-core
export HUYING_MODEL := $(CURDIR)/$(MODEL)

.PHONY: demo serve test bench fmt check model packages test-packages

demo: packages
	$(CARGO) build --release
	./target/release/huying models pull base-q8_0
	./target/release/huying demo

serve: packages
	$(CARGO) run --release -- serve

test: test-packages check model
	$(CARGO) test --workspace --no-fail-fast

check: packages
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

model: packages
	$(CARGO) run --quiet -- models pull base-q8_0

bench: packages
	$(CARGO) build --release
	./target/release/huying models pull base-q8_0
	./target/release/huying bench sip
	./target/release/huying bench media
	./target/release/huying bench speech fixtures/audio/callees

fmt:
	$(CARGO) fmt --all

packages:
	@./scripts/packages $(BUILD_PACKAGES)

test-packages:
	@./scripts/packages $(BUILD_PACKAGES) $(TEST_PACKAGES)
