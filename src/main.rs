//! The `crossdock` program. Nothing is decided here: `cli` reads what is asked for and shows what comes of it,
//! `registry` names the protocols, `demo` plays a day at the dock.

mod cli;
mod demo;
mod registry;
mod signals;
mod start;

use std::process::ExitCode;

/// Messages are many small allocations that one thread makes and another frees, which is what mimalloc is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
