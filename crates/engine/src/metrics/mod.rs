//! Counters and histograms without locks, and their text for `/metrics`.

mod histogram;

pub(crate) use histogram::Histogram;
