//! Templates in, release tree out: pure rendering.
//!
//! A release is a tree of nginx configuration, cut into 256 shards by domain id so that a change re-renders one shard
//! ([`Templates::render_shard`]) and the few files at the top ([`Templates::render_top`]). [`Manifest`] says what a
//! release holds; [`Blame`] finds in it what nginx complained of. How to write a template: `docs/templates.md`.

mod blame;
mod directives;
mod layout;
mod manifest;
mod path;
mod preview;
mod sandbox;
mod server_block;
mod shard;
mod tags;
mod templates;
mod top;

pub use blame::{Blame, names_claimed_twice};
pub use directives::InvalidDirectives;
pub use layout::{InvalidLayout, Layout};
pub use manifest::{Manifest, ManifestDiff};
pub use path::{shard_of_path, template_of_path};
pub use shard::{DomainConfig, RefusedDomain, ShardFiles};
pub use tags::InvalidTag;
pub use templates::{TemplateError, Templates, UnknownTemplate};
pub use top::{TopFiles, UPSTREAMS};
