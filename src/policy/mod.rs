//! What an administrator said about a request, and the decision that follows.
//!
//! A [`Table`] holds the apps with their routes and finds the one that a canonical request meets;
//! [`decide`] judges it and returns an [`Admission`] or says why not. Nothing reaches an app without an [`Admission`], and only this
//! room can make one: the upstream's address lives inside it.

mod allow;
mod app;
mod app_sessions;
mod decision;
mod route;
mod table;
mod template;
mod upstream;

pub use allow::{Allow, Unmet};
pub use app::App;
pub use app_sessions::AppSessions;
pub use decision::{Admission, Decision, Obstacle, Verdict, decide, redirects};
pub use route::{Access, Route, Unauthenticated};
pub use table::{Lookup, Miss, Table};
pub use template::{HeaderSet, Template, TemplateError, Values, Variable};
pub use upstream::{Authorities, Protocol, Upstream};

/// Apps for the unit tests of other rooms.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) fn app(host: &str) -> super::App {
        app_with(host, &["/"])
    }

    pub(crate) fn app_with(host: &str, routes: &[&str]) -> super::App {
        let routes: Vec<_> = routes.iter().map(|path| (*path, "required")).collect();
        super::table::tests::app_with(host, &routes)
    }
}
