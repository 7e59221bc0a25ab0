//! Envelope encryption of secrets.
//!
//! Each secret is encrypted (AES-256-GCM) with a data key of its own, which is wrapped by a master key. Both layers
//! bind the place where the secret stands, so that a ciphertext moved to another row, tenant or column does not open.
//! Master keys never enter the database. Also made here: API tokens, of which only a hash is kept,
//! hashes of passwords, and what webhooks are signed with. Parts that hold no master key seal by its public side
//! ([`SealingKey`]).

mod api_token;
mod envelope;
mod for_holder;
mod master_key;
mod password;
mod sealing_key;
mod secret;
mod webhook_secret;

pub use api_token::{ApiToken, InvalidApiToken, TokenHash};
pub use envelope::{Place, Vault, VaultError};
pub use master_key::{InvalidKeyFile, MasterKey};
pub use password::{InvalidPassword, Password};
pub use sealing_key::SealingKey;
pub use secret::Secret;
pub use webhook_secret::WebhookSecret;
