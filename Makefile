# For those who type make; everything is in the scripts.
.PHONY: demo test ci fuzz
demo:
	@./demo
test:
	@./test
ci:
	@.ci/run

# make fuzz TARGET=reply SECONDS=600; needs cargo-fuzz, and clang's runtime comes with Rust.
TARGET ?= reply
SECONDS ?= 60
fuzz:
	cd fuzz && SQLX_OFFLINE=true RUSTC_BOOTSTRAP=1 cargo fuzz run $(TARGET) -- -max_total_time=$(SECONDS)
