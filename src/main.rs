//! The program `schoolgate`.

use std::process::ExitCode;

/// Many small allocations for each request, freed by other threads than made them: what this one is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for pages of 2 MiB where the system has them for those who ask. With them all of a buffer is in
    // memory that has been used at its beginning, and a WebSocket has two of 64 KiB. Without them it works as well.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    schoolgate::cli::run(std::env::args_os())
}
