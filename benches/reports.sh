#!/bin/bash
# Fills the database of `callq dev --exec` and reads every report: `make bench-reports`.
set -euo pipefail
cd "$(dirname "$0")"
psql -X -q -v legs="${LEGS:-10000000}" -f reports.sql "$DATABASE_URL"
for report in daily heatmap attempts minutes not-called errors lateness schedules in-doubt; do
    for since in 7d 100d; do
        begun=$(date +%s%N)
        ../target/release/callq report "$report" --since "$since" --json >/dev/null
        echo "$report of $since: $((($(date +%s%N) - begun) / 1000000)) ms"
    done
done
