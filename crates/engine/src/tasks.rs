//! The one way to start a task, and to catch a panic: whatever ends in one is told, nothing hangs on it in silence.

use crate::signals::Signals;
use crossdock_model::Text;
use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};
use tokio::task::JoinHandle;

/// The tasks of a gateway, so that its end can wait for each.
pub(crate) struct Tasks {
    signals: Arc<Signals>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Tasks {
    /// None yet; a panic in one makes the gateway fail through `signals`.
    pub const fn new(signals: Arc<Signals>) -> Self {
        Self { signals, handles: Mutex::new(Vec::new()) }
    }

    /// Starts a task. A panic in it makes the gateway fail, with its name.
    pub fn spawn(&self, name: impl Into<Text>, task: impl Future<Output = ()> + Send + 'static) {
        let (signals, name) = (Arc::clone(&self.signals), name.into());
        let handle = tokio::spawn(async move {
            if let Err(panic) = caught(task).await {
                signals.fail(&format!("the task `{name}` panicked ({panic}): report this"));
            }
        });
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| !handle.is_finished());
        handles.push(handle);
    }

    /// Waits for all tasks that were started, also those started meanwhile.
    pub async fn join(&self) {
        loop {
            let handles = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
            if handles.is_empty() {
                return;
            }
            for handle in handles {
                // A panic was caught and told; nothing cancels a task before its runtime ends.
                drop(handle.await);
            }
        }
    }

    /// Ends all tasks where they stand.
    pub fn abort(&self) {
        for handle in self.handles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            handle.abort();
        }
    }
}

/// Awaits a future; a panic in it is an error with its text.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Text> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch(|| future.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Calls a function; a panic in it is an error with its text. What the function changed meanwhile must not be used
/// after a panic.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Text> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| text(&*panic))
}

/// Runs what may block on a thread for that; none if the runtime ends or it panicked.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(call).await.ok()
}

fn text(panic: &(dyn Any + Send)) -> Text {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Text::from(text.unwrap_or("no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_makes_the_gateway_fail() {
        let signals = Arc::<Signals>::default();
        let tasks = Tasks::new(Arc::clone(&signals));
        tasks.spawn("good", async {});
        tasks.spawn("bad", async { panic!("no reason") });
        assert!(signals.failed().await.contains("`bad` panicked (no reason)"));
        tasks.join().await;
    }

    #[tokio::test]
    async fn a_caught_panic_is_a_text() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let count = 3;
        assert_eq!(caught(async move { panic!("{count} times") }).await, Err::<(), _>(Text::from_static("3 times")));
        assert_eq!(catch(|| -> u8 { panic!("at once") }), Err(Text::from_static("at once")));
    }
}
