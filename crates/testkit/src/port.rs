//! Ports of loopback for what tests start.

use crate::{lock, wait};
use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::{BuildHasher as _, Hasher as _},
    io::ErrorKind,
    net::TcpListener,
    ops::Range,
    sync::Mutex,
};

/// Below those that the system gives to outgoing connections (from 32,768), so that who stopped listening finds its port free
/// when it starts again.
const PORTS: Range<u64> = 10_000..30_000;
const TRIES: usize = 1000;

/// A port of loopback that nobody listens on, and that nobody else in this process is given: between the look and the start
/// of the server another test would else take it now and then.
///
/// # Panics
/// None is free.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    for _ in 0..TRIES {
        let chance = RandomState::new().build_hasher().finish() % (PORTS.end - PORTS.start);
        let port = (PORTS.start + chance) as u16;
        let is_ours = lock(&GIVEN).get_or_insert_default().insert(port);
        if is_ours && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("none of {TRIES} ports of loopback between {} and {} is free", PORTS.start, PORTS.end)
}

/// Listens on a port that was free a moment ago. A child of this process holds every socket between its fork and its exec,
/// so one that was just closed may still be in the way: that is waited for.
///
/// # Panics
/// Somebody else listens there.
#[track_caller]
pub fn listen(port: u16) -> TcpListener {
    wait(&format!("port {port} to be free"), || match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => Some(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => None,
        Err(error) => panic!("port {port}: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        process::Command,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    #[test]
    fn nobody_is_given_a_port_twice() {
        let threads: Vec<_> = (0..8).map(|_| thread::spawn(|| [(); 200].map(|()| free_port()))).collect();
        let ports: Vec<u16> = threads.into_iter().flat_map(|given| given.join().unwrap()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
    }
    #[test]
    fn a_port_is_free_again_though_children_are_started() {
        static DONE: AtomicBool = AtomicBool::new(false);
        let starting = thread::spawn(|| {
            while !DONE.load(Ordering::Relaxed) {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        for _ in 0..500 {
            let port = free_port();
            drop(listen(port));
            drop(listen(port));
        }
        DONE.store(true, Ordering::Relaxed);
        starting.join().unwrap();
    }
}
