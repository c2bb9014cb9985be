//! A connection's reachability, shared by the targets of all routes that use it.

use crossdock_delivery::Link;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// A link and who is to be woken when it changes. Locked once for a batch of starts or answers.
pub(crate) struct SharedLink {
    link: Mutex<Link>,
    routes: Mutex<Vec<Arc<Notify>>>,
}

impl SharedLink {
    /// A connection that nobody has tried.
    pub fn new() -> Self {
        Self { link: Mutex::new(Link::new()), routes: Mutex::new(Vec::new()) }
    }

    /// Has a route woken when the link changes.
    pub fn join(&self, route: Arc<Notify>) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).push(route);
    }

    /// Lends the link, and wakes all routes if it changed.
    pub fn lend<T>(&self, use_it: impl FnOnce(&mut Link) -> T) -> T {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let before = link.version();
        let result = use_it(&mut link);
        let changed = link.version() != before;
        drop(link);
        if changed {
            for route in &*self.routes.lock().unwrap_or_else(PoisonError::into_inner) {
                route.notify_one();
            }
        }
        result
    }
}
