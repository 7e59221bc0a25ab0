//! Routes, each with what it needs: none can be added without saying it.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodRouter, get, post},
};
use certmill_model::Permission;
use http::Method;
use utoipa::openapi::path::PathItem;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::gate::behind;
use crate::WebState;

/// What a caller needs for a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Nothing: what is there is public, or guarded by a secret in its address.
    Open,
    /// Any valid token or session.
    SignedIn,
    /// This permission.
    Needs(Permission),
}

/// How a caller of a route says who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Door {
    /// By a bearer token.
    Api,
    /// By a session's cookie.
    Page,
}

/// A route, as the tests of access see it.
#[derive(Clone, Debug)]
pub struct RouteEntry {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: String,
    /// How a caller says who it is.
    pub door: Door,
    /// What a caller needs.
    pub access: Access,
}

/// Routes that are being put together.
#[derive(Default)]
pub(crate) struct Routes {
    operations: Vec<(Access, UtoipaMethodRouter<WebState>)>,
    /// Operations whose requests may be long and take long.
    uploads: Vec<(Access, UtoipaMethodRouter<WebState>)>,
    pages: Vec<(RouteEntry, MethodRouter<WebState>)>,
}

impl Routes {
    /// Adds operations of the API, as `routes!` makes them.
    pub(crate) fn api(mut self, access: Access, operations: UtoipaMethodRouter<WebState>) -> Self {
        self.operations.push((access, operations));
        self
    }

    /// Adds an operation that reads a long request bit by bit, and sees itself to how long that may be and take.
    pub(crate) fn upload(mut self, access: Access, operation: UtoipaMethodRouter<WebState>) -> Self {
        self.uploads.push((access, operation));
        self
    }

    /// Adds a page.
    pub(crate) fn page<H, T>(self, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        self.add(Method::GET, path, access, get(handler))
    }

    /// Adds what a form on a page does.
    pub(crate) fn form<H, T>(self, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        self.add(Method::POST, path, access, post(handler))
    }

    /// Adds what programs of others `POST` to an address whose secret is all that they need.
    pub(crate) fn one_click<H, T>(mut self, path: &str, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        let (path, door, access) = (path.to_owned(), Door::Api, Access::Open);
        self.pages.push((RouteEntry { method: Method::POST, path, door, access }, post(handler)));
        self
    }

    /// Adds those of `other`.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        self.uploads.extend(other.uploads);
        self.pages.extend(other.pages);
        self
    }

    /// Every route, with what it needs.
    pub(crate) fn table(&self) -> Vec<RouteEntry> {
        let operations = self.operations.iter().chain(&self.uploads).flat_map(|(access, (_, paths, _))| {
            let entries = paths.paths.iter().flat_map(|(path, item)| {
                methods(item).map(|method| RouteEntry {
                    method,
                    path: path.clone(),
                    door: Door::Api,
                    access: *access,
                })
            });
            entries.collect::<Vec<_>>()
        });
        operations.chain(self.pages.iter().map(|(entry, _)| entry.clone())).collect()
    }

    /// The description of the API's part, added to `document`.
    pub(crate) fn describe(self, document: OpenApiRouter<WebState>) -> OpenApiRouter<WebState> {
        let operations = self.operations.into_iter().chain(self.uploads);
        operations.fold(document, |document, (_, operations)| document.routes(operations))
    }

    /// The routes behind their gates: those whose requests are short, and those that see to their limits themselves.
    pub(crate) fn guarded(self, state: &WebState) -> (Router<WebState>, Router<WebState>) {
        let gated = |operations: Vec<(Access, UtoipaMethodRouter<WebState>)>, is_upload| {
            operations.into_iter().fold(Router::new(), |router, (access, (_, paths, methods))| {
                let path = paths.paths.keys().next().expect("an operation has a path");
                router.route(path, behind(state, Door::Api, access, is_upload, methods))
            })
        };
        let (mut router, uploads) = (gated(self.operations, false), gated(self.uploads, true));
        for (entry, methods) in self.pages {
            router = router.route(&entry.path, behind(state, entry.door, entry.access, false, methods));
        }
        (router, uploads)
    }

    fn add(mut self, method: Method, path: &str, access: Access, router: MethodRouter<WebState>) -> Self {
        self.pages.push((RouteEntry { method, path: path.to_owned(), door: Door::Page, access }, router));
        self
    }
}

fn methods(item: &PathItem) -> impl Iterator<Item = Method> + use<> {
    [
        (item.get.is_some(), Method::GET),
        (item.put.is_some(), Method::PUT),
        (item.post.is_some(), Method::POST),
        (item.patch.is_some(), Method::PATCH),
        (item.delete.is_some(), Method::DELETE),
    ]
    .into_iter()
    .filter_map(|(is_there, method)| is_there.then_some(method))
}
