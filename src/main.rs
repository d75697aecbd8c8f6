//! The program `schoolgate`.

use std::process::ExitCode;

/// Many small allocations for each request, freed by other threads than made them: what this one is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    schoolgate::cli::run(std::env::args_os())
}
