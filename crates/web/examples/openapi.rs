//! Prints the description of the API, which is committed as `docs/openapi.json`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(certmill_web::openapi_json().as_bytes())
}
