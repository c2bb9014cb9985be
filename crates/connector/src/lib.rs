//! What the author of a connector sees: a [`Source`] that receives, a [`Sink`] that sends, and what both are told.
//!
//! Invariants
//! - **One acknowledgement point.** A source hears through its [`Settler`] that a message is stored, and acknowledges
//!   then, never from [`Receiver::next`] and never earlier. A sink posts success only when the peer confirmed.
//! - **A connector is thin.** It is configured without I/O; connecting, reconnecting, retrying and blaming are the
//!   engine's. An error is a value: which kind it is decides what the engine does.
//! - **Everything moves in batches.** Receiving never waits for settling; a sink takes a batch and reports one by one.
//! - A connector never sees an expression: [`Outgoing`] carries them rendered, by [`Slot`], and a source that makes its
//!   messages asks its [`Formulas`].

pub mod carriage;
pub mod clear_text;
mod config;
mod connector;
mod describe;
mod formulas;
pub mod mapping;
mod outgoing;
mod preview;
mod sink;
mod source;
mod tables;
pub mod tcp;
pub mod tls;
mod tracker;

pub use async_trait::async_trait;
pub use carriage::{Carriage, Column, Events};
pub use config::{ConnectionConfig, GatewayConfig, SinkConfig, SourceConfig, StoreTag};
pub use connector::{Connector, StartError};
pub use crossdock_settings::{
    Diagnostic, Diagnostics, Entry, Field, Formula, FormulaKind, Kind, Layout, Node, NodeKind, Placed, Presence, Rate,
    Returns, Scalar, Setting, Settings, Severity, Slot, Span, TemplateUse, suggest,
};
pub use describe::{Description, OnRefused};
pub use formulas::{Evaluated, Formulas};
pub use outgoing::{Outgoing, Rendered, RenderedValue};
pub use preview::Preview;
pub use sink::{Completions, Receipt, Results, Sender, Sink, SinkError, Ticket};
pub use source::{
    Claim, Credit, Event, Place, Received, Receiver, Settlement, Settler, Source, SourceError, SourceErrorKind, Token,
};
pub use tables::{HTTP_LISTENER, TLS_CLIENT, TLS_SERVER};
pub use tracker::Tracker;
