//! The `canard` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    canard::cli::main()
}
