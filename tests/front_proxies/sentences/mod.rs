//! What holds with every web server.

pub(crate) mod identity;
pub(crate) mod request;
pub(crate) mod signing_in;
pub(crate) mod trouble;
pub(crate) mod websocket;
