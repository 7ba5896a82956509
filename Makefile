# For those who type make; everything is in the scripts.
.PHONY: demo test ci chaos kills failover model schedules follow media bench-schedules bench-callbacks bench-reports bench bench-peers fuzz
demo:
	@./demo
test:
	@./test
ci:
	@.ci/run
# Faults drawn from a seed, for CALLQ_CHAOS_SECONDS; CALLQ_CHAOS_SEED repeats a schedule.
chaos:
	@./test --test chaos soak -- --nocapture
# CALLQ_CHAOS_KILLS workers are killed under load; optimised, because the throughput is judged too.
kills:
	@./test --release --test chaos kills -- --nocapture --ignored
# A synchronous standby is promoted under 150 calls a second and two workers.
failover:
	@./test --release --test it at_150_calls_a_second -- --nocapture --ignored
# The model of the protocol, in settings that take minutes and gigabytes; optimised.
model:
	@./test --release --test it model -- --nocapture --include-ignored
# Schedules against the simulation of cronie; each run draws a new seed and prints it, and
# CALLQ_SCHEDULE_SEED repeats one.
CASES ?= 5000000
schedules:
	CALLQ_SCHEDULE_CASES=$(CASES) ./test --release --test it schedule:: -- --nocapture
# What became of thousands of calls, with callbacks that go wrong, and of three minutes of 180 calls a
# second without callbacks; optimised.
follow:
	CALLQ_FOLLOW_CALLS=5000 ./test --release --test it follow:: -- --nocapture --include-ignored
# 1,000 calls with media, while workers are killed and replies and callbacks get lost; then how long it takes from an
# answer to the start, on a machine that should have nothing else to do.
media:
	CALLQ_MEDIA_CALLS=1000 ./test --release --test it media::crowd::whatever -- --nocapture
	./test --release --test it media::crowd::how_long -- --ignored --nocapture
# How fast one worker fires schedules, on a database that is thrown away.
bench-schedules:
	SQLX_OFFLINE=true cargo build --release --locked --bin callq --bench schedules
	target/release/callq dev --exec cargo bench --locked --quiet --bench schedules
# How many callbacks a second callq web takes, with a PostgreSQL of its own that syncs.
bench-callbacks:
	SQLX_OFFLINE=true cargo bench --locked --quiet --bench callbacks
# How long every report takes on 10 million finished legs; some 15 minutes and 15 GB, thrown away.
LEGS ?= 10000000
bench-reports:
	SQLX_OFFLINE=true cargo build --release --locked --bin callq
	LEGS=$(LEGS) target/release/callq dev --exec benches/reports.sh
# All parts of `callq bench`, some minutes; ARGS narrows or enlarges it.
bench:
	SQLX_OFFLINE=true cargo build --release --locked --bin callq
	target/release/callq bench $(ARGS)
# callq beside graphile-worker, pg-boss, pgqueuer and graphile_worker, and the table of it in docs/performance.md.
bench-peers:
	SQLX_OFFLINE=true cargo build --release --locked --bin callq
	benches/peers/prepare.sh
	benches/peers/run.py
# make fuzz TARGET=reply SECONDS=600; needs cargo-fuzz, and clang's runtime comes with Rust.
TARGET ?= reply
SECONDS ?= 60
fuzz:
	cd fuzz && SQLX_OFFLINE=true RUSTC_BOOTSTRAP=1 cargo fuzz run $(TARGET) -- -max_total_time=$(SECONDS)
