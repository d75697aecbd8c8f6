//! The program `schoolgate`.

use std::process::ExitCode;

fn main() -> ExitCode {
    schoolgate::cli::run(std::env::args_os())
}
