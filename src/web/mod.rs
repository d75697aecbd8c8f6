//! The small grammar of HTTP that the gateway relies on, with the strictness of a lock.
//!
//! Whatever comes from outside is parsed once, into a value that can only be good: a [`Host`], a
//! [`Target`] with its [`CanonicalPath`], a [`ReturnPath`]. Two spellings of one thing are refused,
//! not repaired, where an app might read them differently.

mod app_set_cookie;
mod cookies;
mod form;
mod header;
mod host;
mod host_pattern;
mod kind;
mod origin;
mod path;
mod path_index;
mod return_path;
mod scheme;
mod target;

pub use app_set_cookie::{AppSetCookie, CookieScope};
pub use cookies::{CookieJar, CookieName, SameSite, SetCookie};
pub use form::{Form, FormError};
pub use header::{FoldedName, Names};
pub use host::{Host, HostError};
pub use host_pattern::HostPattern;
pub use kind::Kind;
pub use origin::{Origin, Place};
pub use path::{CanonicalPath, PathError, PathPrefix};
pub use path_index::PathIndex;
pub use return_path::ReturnPath;
pub use scheme::Scheme;
pub use target::{Target, TargetError};

/// Everything below this path is the gateway's own, on every host.
pub const OWN_PREFIX: &str = "/.schoolgate/";
