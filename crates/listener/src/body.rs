//! The body of an answer, which knows when it is written.

use crate::activity::Request;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// What is written as the body of an answer.
#[derive(Debug)]
pub struct Reply<B> {
    body: Content<B>,
    /// Ends the request when the body is written or given up.
    _request: Request,
}

/// Whose body it is.
#[derive(Debug)]
pub(crate) enum Content<B> {
    Service(B),
    /// Of what the listener answers by itself; none once it is written.
    Own(Option<Bytes>),
}

impl<B> Reply<B> {
    pub(crate) const fn new(body: Content<B>, request: Request) -> Self {
        Self { body, _request: request }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Reply<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.body {
            Content::Service(body) => Pin::new(body).poll_frame(cx),
            Content::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Content::Service(body) => body.is_end_stream(),
            Content::Own(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Content::Service(body) => body.size_hint(),
            Content::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
