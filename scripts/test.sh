#!/usr/bin/env bash
# The one test command: installs the servers that the tests need, then runs every test.
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/install-test-stack.sh
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# Benches are only built by clippy; doc tests can not be named together with other targets.
# `--examples` below builds their tests, not the programs that `tests/it/examples.rs` runs.
cargo build --examples
cargo test --lib --bins --tests --examples
cargo test --doc
