//! Operations and what they are about.

use crate::{Problem, shape};
use crossdock_engine::{DeadFilter, OperationState, OperationView};
use crossdock_model::{MessageId, Text};

/// An operation.
pub fn operation(view: &OperationView) -> shape::OperationView {
    shape::OperationView {
        id: view.id.to_string(),
        kind: view.kind.to_string(),
        state: match view.state {
            OperationState::Running => shape::OperationState::Running,
            OperationState::Done => shape::OperationState::Done,
            OperationState::Cancelled => shape::OperationState::Cancelled,
            OperationState::Failed => shape::OperationState::Failed,
        },
        total: view.total,
        done: view.done,
        failed: view.failed,
        reason: view.reason.as_ref().map(ToString::to_string),
    }
}

/// Which dead letters are meant.
///
/// # Errors
/// One of the ids is none.
pub fn filter(asked: shape::RedriveFilter) -> Result<DeadFilter, Problem> {
    let id = |text: String| text.parse::<MessageId>().map_err(|e| Problem::bad_request("id.invalid", e.to_string()));
    let ids = asked.ids.map(|ids| ids.into_iter().map(id).collect::<Result<Vec<_>, _>>()).transpose()?;
    Ok(DeadFilter { route: asked.route.map(Text::from), code: asked.code.map(Text::from), ids })
}
