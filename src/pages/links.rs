//! The addresses that pages link to. All are the gateway's own.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::web::Place;

/// The page that says who is signed in.
pub(super) const STATUS: &str = "/.schoolgate/";

/// Where a form that signs out is sent.
pub(super) const SIGN_OUT: &str = "/.schoolgate/sign-out";

/// Starts a sign-in that ends at `return_to`, a [`ReturnPath`] or a path of our own.
///
/// [`ReturnPath`]: crate::web::ReturnPath
pub(super) fn sign_in(return_to: &str) -> String {
    format!("/.schoolgate/sign-in?return_to={}", utf8_percent_encode(return_to, NON_ALPHANUMERIC))
}

/// Starts a sign-in on the host of a place.
pub(super) fn sign_in_at(place: &Place) -> String {
    at(place, &sign_in(place.path.as_str()))
}

/// One of our own paths on the host of a place.
pub(super) fn at(place: &Place, path: &str) -> String {
    format!("{}{path}", place.origin.as_ref().map_or("", |origin| origin.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{Form, OWN_PREFIX, ReturnPath};

    #[test]
    fn all_links_are_the_gateways_own() {
        for link in [STATUS, SIGN_OUT, &sign_in("/")] {
            assert!(link.starts_with(OWN_PREFIX), "{link}");
        }
    }

    #[test]
    fn the_way_back_survives_the_query() {
        let back = ReturnPath::parse("/marks?class=7b&x=%2B+%26").unwrap();
        let link = sign_in(back.as_str());
        let (_, query) = link.split_once('?').unwrap();
        let form = Form::parse(query.as_bytes()).unwrap();
        assert_eq!(form.only("return_to").unwrap(), Some(back.as_str()));
    }
}
