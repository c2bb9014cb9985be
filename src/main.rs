//! The `crossdock` program. Nothing is decided here: `cli` reads what is asked for and shows what comes of it,
//! `registry` names the protocols, `demo` plays a day at the dock.

mod cli;
mod demo;
mod registry;
mod signals;
mod start;

use std::process::ExitCode;

/// Messages are many small allocations that one thread makes and another frees (ADR 0023).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
