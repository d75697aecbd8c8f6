//! Routes of one app that cannot stand beside each other.

use http::Method;

use super::{report::Report, route::RouteAt};
use crate::policy::Route;

/// Refuses routes that stand twice, and routes that would turn each other's requests away.
pub(super) fn check(routes: &[RouteAt], report: &Report<'_>) {
    for (index, later) in routes.iter().enumerate() {
        for earlier in &routes[..index] {
            let line = report.line(&earlier.place);
            let path = earlier.path.as_str();
            if same_path(earlier, later) {
                if overlap(&earlier.route, &later.route) {
                    let message = format!("is the path of line {line} again, for the same methods");
                    report.problem(&later.place, message, "merge the two routes, or give them different methods");
                }
            } else if blocks(earlier, later) || blocks(later, earlier) {
                let message = format!(
                    "and \"{path}\" of line {line} are one path to some apps, so requests between them are \
                     refused with 400"
                );
                report.problem(&later.place, message, "keep the spelling that the app uses, and remove the other");
            }
        }
    }
}

/// Whether two routes have one path; a trailing slash does not count.
pub(super) fn same_path(one: &RouteAt, other: &RouteAt) -> bool {
    one.route.prefix.depth() == other.route.prefix.depth() && one.route.prefix.covers(&other.path)
}

/// Of two routes for all methods, or two that name one method, none is nearer to the request.
fn overlap(one: &Route, other: &Route) -> bool {
    match (one.methods.is_empty(), other.methods.is_empty()) {
        (true, true) => true,
        (false, false) => {
            one.methods.iter().any(|method| other.takes(method)) || other.methods.iter().any(|method| one.takes(method))
        }
        (true, false) | (false, true) => false,
    }
}

/// `Table::find` refuses a path that a route covers only for a lenient app.
fn blocks(rule: &RouteAt, other: &RouteAt) -> bool {
    rule.route.prefix.may_cover(&other.path) && !rule.route.prefix.covers(&other.path)
}

/// The route that a request for `path` meets, as `Table::find` says it, with places.
pub(super) fn met<'r>(
    routes: impl Iterator<Item = &'r RouteAt>,
    method: &Method,
    path: &crate::web::CanonicalPath,
) -> Option<&'r RouteAt> {
    routes
        .filter(|one| one.route.prefix.covers(path) && one.route.takes(method))
        .max_by_key(|one| (one.route.prefix.depth(), !one.route.methods.is_empty()))
}
