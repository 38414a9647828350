# Huying. `make demo` runs the main job, `make test` runs every test; both install what they need first.
# Needs: a Rust toolchain and a Debian-like system. Everything else is fetched.

CARGO ?= cargo
# What the build, the model and the tests need from the distribution.
BUILD_PACKAGES := cmake g++ make pkg-config python3 python3-pip npm
TEST_PACKAGES := sip-tester baresip-core postgresql python3-venv
MODEL := base-q8_0
# Asks the API questions made of its own document; tests/tests/schemathesis.rs names the same version.
SCHEMATHESIS := 4.32.5
TARGET := $(or $(CARGO_TARGET_DIR),target)
SCHEMATHESIS_HOME := $(TARGET)/schemathesis-$(SCHEMATHESIS)
export HUYING_MODEL := $(CURDIR)/data/models/ggml-$(MODEL).bin

.PHONY: demo serve test schemathesis model check bench fmt packages test-packages advisories fuzz

demo: packages
	$(CARGO) build --release
	$(TARGET)/release/huying models pull $(MODEL)
	HUYING_MODEL=$(MODEL) $(TARGET)/release/huying demo

serve: packages
	HUYING_MODEL=$(MODEL) $(CARGO) run --release -- serve

# One build for the binary, the tests and the benches: the same features everywhere, so nothing is compiled twice.
test: test-packages check schemathesis
	$(CARGO) build --workspace --all-targets
	$(TARGET)/debug/huying models pull $(MODEL)
	$(CARGO) test --workspace --no-fail-fast

schemathesis: test-packages
	@test -x $(SCHEMATHESIS_HOME)/bin/schemathesis || \
		(python3 -m venv $(SCHEMATHESIS_HOME) && $(SCHEMATHESIS_HOME)/bin/pip install --quiet schemathesis==$(SCHEMATHESIS))

# What the tests that hear need; `make test` does it too.
model: packages
	$(CARGO) run -- models pull $(MODEL)

check: packages
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: packages
	$(CARGO) build --release
	$(TARGET)/release/huying models pull $(MODEL)
	HUYING_MODEL=$(MODEL) $(TARGET)/release/huying bench sip
	HUYING_MODEL=$(MODEL) $(TARGET)/release/huying bench media
	$(TARGET)/release/huying bench db
	HUYING_MODEL=$(MODEL) $(TARGET)/release/huying bench speech fixtures/audio/callees

fmt:
	$(CARGO) fmt --all

# Brings the table of known vulnerabilities that tests/tests/advisories.rs holds our dependencies against.
ADVISORIES := $(TARGET)/advisory-db
advisories:
	rm -rf $(ADVISORIES)
	git clone --quiet --depth 1 https://github.com/RustSec/advisory-db $(ADVISORIES)
	scripts/advisories $(ADVISORIES) > $(ADVISORIES).tsv
	mv $(ADVISORIES).tsv fixtures/advisories.tsv
	$(CARGO) test --test advisories

# A minute of each fuzz target; needs the nightly compiler. A finding stays in fuzz/artifacts.
fuzz: packages
	$(CARGO) install --locked cargo-fuzz
	for target in sip:fuzz/seeds/sip sdp:fuzz/seeds/sdp rtp: prompt:fixtures/audio/formats template:fixtures/templates sheet:fixtures/sheets; do \
		mkdir -p fuzz/corpus/$${target%%:*}; \
		$(CARGO) +nightly fuzz run $${target%%:*} fuzz/corpus/$${target%%:*} $${target#*:} -- -max_total_time=60 || exit 1; \
	done

packages:
	@./scripts/packages $(BUILD_PACKAGES)

test-packages:
	@./scripts/packages $(BUILD_PACKAGES) $(TEST_PACKAGES)
