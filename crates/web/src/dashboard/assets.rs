//! Style sheet and icon, in the binary, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", "text/css; charset=utf-8", include_str!("../../../../web/style.css"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../../../../web/icon.svg")));

struct Asset {
    file: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = HEXLOWER.encode(&Sha256::digest(content)[..8]);
        Self { file: format!("{name}-{hash}.{extension}"), kind, content }
    }
}

/// The style sheet's file name.
pub(crate) fn style() -> &'static str {
    &STYLE.file
}

/// The icon's file name.
pub(crate) fn icon() -> &'static str {
    &ICON.file
}

pub(super) async fn serve(Path(file): Path<String>) -> Result<Response, Problem> {
    let asset = [&*STYLE, &*ICON].into_iter().find(|asset| asset.file == file);
    let asset = asset.ok_or_else(|| Problem::of_status(http::StatusCode::NOT_FOUND))?;
    let headers = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.content).into_response())
}
