//! Mail and webhooks.
