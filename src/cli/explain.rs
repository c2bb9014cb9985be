//! `crossdock explain`: what a route does, in words.

use super::{
    exit::{Exit, Failure, Outcome},
    file,
    terminal::data,
};
use clap::Args;
use crossdock_config::Plan;
use std::path::{Path, PathBuf};

/// Say what a route does, in words, from the same plan that runs.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The route's key in the configuration
    route: String,

    /// The configuration [routes.yaml]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Explains the route.
pub fn execute(path: &Path, arguments: &Arguments) -> Outcome {
    let plan = file::plan(path)?;
    match crossdock_config::explain(&plan, &arguments.route) {
        Some(text) => data(&format!("{}\n", text.trim_end())).map(|()| Exit::Fine),
        None => Err(no_such_route(&plan, &arguments.route)),
    }
}

/// The route is not there; tells which ones are.
pub fn no_such_route(plan: &Plan, route: &str) -> Failure {
    let names: Vec<&str> = plan.routes().iter().map(|route| &*route.id).collect();
    let near = crossdock_connector::suggest(route, names.iter().copied());
    let hint =
        near.map_or_else(|| format!("the routes are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
    Failure::new(Exit::NotFound, format!("there is no route `{route}` in `{}`; {hint}", plan.file()))
}
