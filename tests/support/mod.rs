//! What the black-box tests share: a gateway with the stand-in for Apple and an app behind it, a small
//! HTTP client that shows every byte, and a browser that keeps cookies.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses a part of this"
)]

pub mod browser;
pub mod demo;
pub mod dice;
pub mod district;
pub mod document;
pub mod echo;
pub mod guest;
pub mod http;
pub mod http2;
pub mod http2_app;
pub mod load;
pub mod names;
pub mod pebble;
pub mod php;
pub mod program;
pub mod raw_app;
pub mod redis;
pub mod relay;
pub mod scrape;
pub mod secured;
pub mod tls_app;
pub mod tls_client;
pub mod world;

pub use browser::Browser;
pub use demo::{Demo, Ended};
pub use dice::Dice;
pub use district::District;
pub use document::Document;
pub use echo::Echo;
pub use guest::{Guest, Tally, Town};
pub use http::{Answer, Connection, Request};
pub use http2::{Answer2, Http2};
pub use http2_app::Http2App;
pub use load::Load;
pub use pebble::Pebble;
pub use php::Php;
pub use program::{Program, Site};
pub use raw_app::RawApp;
pub use relay::Relay;
pub use scrape::Scrape;
pub use secured::Secured;
pub use tls_app::{Authority, TlsApp, self_signed};
pub use tls_client::TlsClient;
pub use world::{HOST, World};
