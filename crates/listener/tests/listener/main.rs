//! The listener over real sockets.

#[cfg(test)]
mod connections;
