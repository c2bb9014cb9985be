//! Counters and histograms without locks, and their text for `/metrics`.

mod histogram;
mod losses;
mod text;

pub(crate) use histogram::Histogram;
pub(crate) use losses::Losses;
