//! nginx's own grammar, as far as it takes to know which directives a text contains.

use std::iter::Peekable;
use std::str::Chars;

/// A text that is not what may stand inside a `server` block, and the place of the fault.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct InvalidDirectives {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, in words for the person who wrote it.
    pub what: String,
}

/// One directive: its words, and how many blocks it is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Directive {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) depth: usize,
    pub(crate) words: Vec<String>,
}

/// What a template may say. Nothing here reads, writes or names a file, loads code, or listens; the certificate, the
/// name and the TLS settings are certmill's.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "absolute_redirect", "add_header", "allow", "auth_request", "auth_request_set", "break", "charset",
    "chunked_transfer_encoding", "client_body_buffer_size", "client_body_timeout", "client_header_timeout",
    "client_max_body_size", "default_type", "deny", "error_page", "etag", "expires", "gzip", "gzip_comp_level",
    "gzip_min_length", "gzip_proxied", "gzip_types", "gzip_vary", "if", "if_modified_since", "internal",
    "keepalive_requests", "keepalive_timeout", "large_client_header_buffers", "limit_conn", "limit_except",
    "limit_rate", "limit_rate_after", "limit_req", "location", "log_not_found", "merge_slashes",
    "port_in_redirect", "proxy_buffer_size", "proxy_buffering", "proxy_buffers", "proxy_busy_buffers_size",
    "proxy_cache", "proxy_cache_background_update", "proxy_cache_bypass", "proxy_cache_key", "proxy_cache_lock",
    "proxy_cache_lock_timeout", "proxy_cache_methods", "proxy_cache_min_uses", "proxy_cache_revalidate",
    "proxy_cache_use_stale", "proxy_cache_valid", "proxy_connect_timeout", "proxy_cookie_domain",
    "proxy_cookie_flags", "proxy_cookie_path", "proxy_force_ranges", "proxy_hide_header", "proxy_http_version",
    "proxy_ignore_client_abort", "proxy_ignore_headers", "proxy_intercept_errors", "proxy_limit_rate",
    "proxy_max_temp_file_size", "proxy_method", "proxy_next_upstream", "proxy_next_upstream_timeout",
    "proxy_next_upstream_tries", "proxy_no_cache", "proxy_pass", "proxy_pass_header", "proxy_pass_request_body",
    "proxy_pass_request_headers", "proxy_read_timeout", "proxy_redirect", "proxy_request_buffering",
    "proxy_send_timeout", "proxy_set_body", "proxy_set_header", "proxy_socket_keepalive", "proxy_ssl_name",
    "proxy_ssl_server_name", "resolver", "resolver_timeout", "return", "rewrite", "satisfy", "send_timeout",
    "server_tokens", "set", "tcp_nodelay", "underscores_in_headers",
];

/// Checks that `text` is a run of whole directives that a template may say.
pub(crate) fn check(text: &str) -> Result<(), InvalidDirectives> {
    for directive in parse(text)? {
        let name = directive.words.first().map_or("{", String::as_str);
        if !ALLOWED.contains(&name) {
            let what = format!("the directive {name:?} is not one that a template may use");
            return Err(InvalidDirectives { line: directive.line, column: directive.column, what });
        }
    }
    Ok(())
}

/// Splits `text` into its directives, as nginx does.
pub(crate) fn parse(text: &str) -> Result<Vec<Directive>, InvalidDirectives> {
    let mut reader = Reader { chars: text.chars().peekable(), line: 1, column: 0, token_at: (1, 1) };
    let mut directives = Vec::new();
    let (mut words, mut depth) = (Vec::new(), 0_usize);
    let mut begun = (1, 1);
    while let Some(token) = reader.token()? {
        if words.is_empty() {
            begun = reader.token_at;
        }
        match token {
            Token::Word(word) => words.push(word),
            Token::Close if words.is_empty() && depth > 0 => depth -= 1,
            Token::Close => return reader.fail("a } that closes nothing"),
            Token::End if words.is_empty() => return reader.fail("a ; that ends nothing"),
            Token::End | Token::Open => {
                let (line, column) = begun;
                directives.push(Directive { line, column, depth, words: std::mem::take(&mut words) });
                depth += usize::from(token == Token::Open);
            }
        }
    }
    if !words.is_empty() {
        reader.token_at = begun;
        return reader.fail("the last directive is not ended by ;");
    }
    if depth > 0 {
        return reader.fail("a { is not closed");
    }
    Ok(directives)
}

#[derive(Eq, PartialEq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
    /// Of the last character in its line.
    column: usize,
    /// Line and column where the last token begins.
    token_at: (usize, usize),
}

impl Reader<'_> {
    fn token(&mut self) -> Result<Option<Token>, InvalidDirectives> {
        while let Some(c) = self.next() {
            self.token_at = (self.line, self.column);
            match c {
                '#' => while self.next().is_some_and(|c| c != '\n') {},
                '{' => return Ok(Some(Token::Open)),
                '}' => return Ok(Some(Token::Close)),
                ';' => return Ok(Some(Token::End)),
                '"' | '\'' => return self.quoted(c).map(Some),
                c if c.is_ascii_whitespace() => {}
                c => return Ok(Some(Token::Word(self.word(c)))),
            }
        }
        Ok(None)
    }

    fn quoted(&mut self, quote: char) -> Result<Token, InvalidDirectives> {
        let mut word = String::new();
        loop {
            match self.next() {
                None => return self.fail("a quote is not closed"),
                Some('\\') => word.extend(self.next()),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
        }
        match self.chars.peek() {
            Some(c) if c.is_ascii_whitespace() || matches!(c, ';' | '{' | ')') => Ok(Token::Word(word)),
            _ => self.fail("white space, ; or { must follow a closing quote"),
        }
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut c = first;
        loop {
            word.push(c);
            if c == '\\' {
                word.extend(self.next());
            }
            // `${name}` is part of a word; any other { begins a block.
            let variable = c == '$';
            match self.chars.peek() {
                Some('{') if variable => {}
                Some(next) if !(next.is_ascii_whitespace() || matches!(next, ';' | '{')) => {}
                _ => return word,
            }
            c = self.next().expect("the peek above saw a character");
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            (self.line, self.column) = (self.line + 1, 0);
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn fail<T>(&self, what: &str) -> Result<T, InvalidDirectives> {
        let (line, column) = self.token_at;
        Err(InvalidDirectives { line, column, what: what.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_through_quotes_comments_and_blocks() {
        let text =
            "# a { b\nlocation ~ \"x{2}\" {\n add_header X 'a; b }';\n return 301 https://${host}$uri;\n}\n";
        let found: Vec<_> =
            parse(text).unwrap().into_iter().map(|d| (d.line, d.depth, d.words.join(" "))).collect();
        assert_eq!(
            found,
            [
                (2, 0, "location ~ x{2}".to_owned()),
                (3, 1, "add_header X a; b }".to_owned()),
                (4, 1, "return 301 https://${host}$uri".to_owned()),
            ]
        );
        assert_eq!(check(text), Ok(()));
    }

    #[test]
    fn a_text_cannot_leave_its_server_block() {
        for bad in ["} server {", "a {", "a", "a \"b;", "a;}", "\"a\"b;", ";", "location / { return 204 }"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn directives_that_reach_files_code_or_sockets_are_refused_with_their_line() {
        for bad in [
            "include /etc/passwd;",
            "\"include\" /etc/passwd;",
            "root /;",
            "alias /etc/;",
            "error_log /tmp/x;",
            "access_log /tmp/x;",
            "load_module x;",
            "lua_code_cache off;",
            "perl x;",
            "ssl_engine x;",
            "ssl_certificate x;",
            "proxy_store on;",
            "proxy_ssl_certificate_key x;",
            "auth_basic_user_file /x;",
            "listen 81;",
            "server_name ~^.*$;",
            "server { }",
            "{ }",
            "location / { try_files $uri =404; }",
        ] {
            let error = check(&format!("server_tokens off;\n{bad}")).unwrap_err();
            assert_eq!(error.line, 2, "{bad}");
        }
    }
}
