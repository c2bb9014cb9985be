//! Waiting for conditions instead of for time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits up to 15 seconds for the condition and gives its value.
///
/// # Panics
/// It did not come true; the text says what was awaited.
#[track_caller]
pub fn wait<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_for(Duration::from_secs(15), what, condition)
}

/// Waits for the condition at most so long and gives its value.
///
/// # Panics
/// It did not come true; the text says what was awaited.
#[track_caller]
pub fn wait_for<T>(at_most: Duration, what: &str, condition: impl FnMut() -> Option<T>) -> T {
    try_wait_for(at_most, condition).unwrap_or_else(|| panic!("waited {} s for {what}", at_most.as_secs_f64()))
}

/// Waits for the condition at most so long and gives its value, or none if it did not come true.
pub fn try_wait_for<T>(at_most: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let (start, mut step) = (Instant::now(), Duration::from_millis(1));
    loop {
        let value = condition();
        if value.is_some() || start.elapsed() >= at_most {
            return value;
        }
        pause(step);
        step = (step * 2).min(Duration::from_millis(100));
    }
}

/// Lets time pass where time itself is the subject: how long a process runs before it is killed.
pub fn pause(time: Duration) {
    let start = Instant::now();
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}
