//! Bodies of answers: at once, or a byte at a time.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, channel::Channel, combinators::BoxBody};
use tokio::time::sleep;

pub(super) type Body = BoxBody<Bytes, Infallible>;

pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

pub(super) fn trickling(bytes: Bytes, pause: Duration) -> Body {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        for at in 0..bytes.len() {
            // The client went away.
            if sender.send_data(bytes.slice(at..=at)).await.is_err() {
                return;
            }
            sleep(pause).await;
        }
    });
    body.boxed()
}
