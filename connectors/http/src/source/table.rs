//! Which endpoint a request meets.

use super::{endpoint::Endpoint, path};
use arc_swap::ArcSwap;
use crossdock_model::Text;
use http::Method;
use std::{collections::HashMap, sync::Arc};

/// All endpoints by path; read without a lock by every request. Of two with one address (during a reload) the newest
/// that is open takes the requests.
#[derive(Debug, Default)]
pub(super) struct Table(ArcSwap<HashMap<Text, Vec<Arc<Endpoint>>>>);

/// What a request meets.
#[derive(Debug)]
pub(super) enum Meets {
    /// An endpoint, open or not.
    Endpoint(Arc<Endpoint>),
    /// A path that has other methods, in the form of `Allow`.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

impl Table {
    pub(super) fn add(&self, endpoint: &Arc<Endpoint>) {
        self.0.rcu(|paths| {
            let mut paths = HashMap::clone(paths);
            paths.entry(endpoint.path.clone()).or_default().push(Arc::clone(endpoint));
            paths
        });
    }

    pub(super) fn remove(&self, endpoint: &Arc<Endpoint>) {
        self.0.rcu(|paths| {
            let mut paths = HashMap::clone(paths);
            if let Some(endpoints) = paths.get_mut(&endpoint.path) {
                endpoints.retain(|other| !Arc::ptr_eq(other, endpoint));
            }
            paths.retain(|_, endpoints| !endpoints.is_empty());
            paths
        });
    }

    pub(super) fn find(&self, path: &str, method: &Method) -> Meets {
        let paths = self.0.load();
        let Some(endpoints) = paths.get(&*path::canonical(path)) else { return Meets::Nothing };
        let of_method = || endpoints.iter().rev().filter(|endpoint| endpoint.method == *method);
        let open = of_method().find(|endpoint| endpoint.session.load().is_some());
        if let Some(endpoint) = open.or_else(|| of_method().next()) {
            return Meets::Endpoint(Arc::clone(endpoint));
        }
        let mut methods: Vec<_> = endpoints.iter().map(|endpoint| endpoint.method.as_str()).collect();
        methods.push("OPTIONS");
        methods.sort_unstable();
        methods.dedup();
        Meets::OtherMethods(methods.join(", "))
    }
}
