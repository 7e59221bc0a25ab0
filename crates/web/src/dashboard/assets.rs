//! Style sheet, scripts and icon, in the binary, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let parts = concat!(
        include_str!("../../../../web/css/base.css"),
        include_str!("../../../../web/css/frame.css"),
        include_str!("../../../../web/css/parts.css"),
        include_str!("../../../../web/css/pages.css"),
    );
    Asset::new("style", "css", "text/css; charset=utf-8", parts)
});
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("app", "js", SCRIPT_TYPE, include_str!("../../../../web/app.js")));
static HTMX: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("htmx", "js", SCRIPT_TYPE, include_str!("../../../../web/vendor/htmx-4.0.1.min.js"))
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

/// The file name of our own script.
pub(super) fn script() -> &'static str {
    &SCRIPT.file
}

/// htmx's file name.
pub(super) fn htmx() -> &'static str {
    &HTMX.file
}

/// The icon's file name.
pub(crate) fn icon() -> &'static str {
    &ICON.file
}

pub(super) async fn serve(Path(file): Path<String>) -> Result<Response, Problem> {
    let asset = [&*STYLE, &*SCRIPT, &*HTMX, &*ICON].into_iter().find(|asset| asset.file == file);
    let asset = asset.ok_or_else(|| Problem::of_status(http::StatusCode::NOT_FOUND))?;
    let headers = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_htmx_is_the_one_that_was_looked_at() {
        let hash = HEXLOWER.encode(&Sha256::digest(HTMX.content));
        let list = include_str!("../../../../web/vendor/SHA256SUMS");
        assert!(list.lines().any(|line| line == format!("{hash}  htmx-4.0.1.min.js")), "{hash}\n{list}");
        assert!(include_str!("../../../../web/vendor/htmx-4.0.1.LICENSE").starts_with("Zero-Clause BSD"));
    }

    #[test]
    fn the_style_sheet_stays_small() {
        assert!(STYLE.content.len() <= 25_000, "{} bytes", STYLE.content.len());
    }
}
