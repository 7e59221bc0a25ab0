//! Webhooks: where they may be sent, when a failed one is sent again, what an answer means.

mod destination;
mod network;
mod room;
mod schedule;
mod url;

pub use destination::{DestinationRefused, WebhookDestinations};
pub use network::{InvalidNetwork, Network, is_public};
pub use room::{WebhookRoom, webhook_room};
pub use schedule::{
    WEBHOOK_RETRIES, WebhookVerdict, gives_up_on_endpoint, retry_webhook_after, webhook_verdict,
};
pub use url::{InvalidWebhookUrl, WebhookHost, WebhookUrl};

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// What has become of the delivery of an event to an endpoint.
    WebhookDeliveryStatus {
        /// It is sent, or will be.
        Pending = "pending",
        /// The endpoint took it.
        Delivered = "delivered",
        /// The endpoint took none of the attempts.
        Failed = "failed",
    }
}
