//! A body of a few ready pieces, given on as they are: a frame of half a megabyte is not copied only to stand
//! between two lines of text.

use axum::body::{Body, HttpBody};
use bytes::{Buf, Bytes};
use hyper::body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The pieces that are still to be given.
pub(crate) struct Chunks(VecDeque<Bytes>);

impl Chunks {
    /// A body of these pieces, of known length.
    pub(crate) fn body(pieces: impl IntoIterator<Item = Bytes>) -> Body {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        Body::new(Self(pieces.collect()))
    }
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.remaining() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pieces_come_in_order_and_their_length_is_known() {
        let pieces = ["ab", "", "cde", "f"].map(|piece| Bytes::from_static(piece.as_bytes()));
        let body = Chunks::body(pieces);
        assert_eq!(body.size_hint().exact(), Some(6));
        let all = axum::body::to_bytes(body, 100).await.unwrap();
        assert_eq!(all, &b"abcdef"[..]);
        assert!(Chunks::body([]).is_end_stream());
    }
}
