//! Takes HTTP connections in: the accept loop that the `http` connector and the admin API share. It knows no other
//! crate of ours; what a request means is the service's.
//!
//! ```text
//!  Bound::bind ─► Bound::serve ─► accept loop ─► [TLS] ─► HTTP/1.1 or HTTP/2 ─► service, one per connection
//!                                     │                        │
//!                     at most `connections_max`      head within 10 s, else 408; idle 75 s; drain on stop
//! ```
//!
//! Invariants
//! - **Everything ends.** A head that is not complete in time is answered 408 and cut; a connection without a request
//!   is closed after a while; a stop has a deadline after which what is left is cut. A request's body is the service's
//!   to time.
//! - **Nobody is cut off from his answer.** A connection that is closed with something unread is first shut down for
//!   writing and then read to its end for a while, or the kernel would throw the answer away with a reset.
//! - **One reading of a request.** What two servers could frame in two ways is refused and cut: `Content-Length` beside
//!   `Transfer-Encoding`, lengths that differ, a bare CR.
//! - Accepting survives: a full table of files is waited out.

mod activity;
mod bind;
mod body;
mod connection;
mod hangup;
mod limits;
mod linger;
mod server;
mod tls;
mod wire;

pub use bind::{BindError, Bound};
pub use body::Reply;
pub use hangup::Hangup;
pub use limits::Limits;
pub use server::{Peer, Server};
pub use tls::{Tls, TlsError};
