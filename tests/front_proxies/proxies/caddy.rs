//! Caddy, with `forward_auth`.

use crate::front::{Places, Proxy};

pub(crate) const CADDY: Proxy = Proxy { blocks: &["Caddyfile"], places, around: |_| None, command };

fn places(places: &Places) -> Vec<(&'static str, String)> {
    // No certificates, and no listener for administrators.
    let global = "{\n\tadmin off\n\tauto_https off\n}\n";
    let site = format!("http://library.school.example:{} {{\n\tbind 127.0.0.1\n", places.port);
    vec![
        ("# /etc/caddy/Caddyfile\nlibrary.school.example {\n", format!("{global}{site}")),
        ("127.0.0.1:8080", places.gateway.to_string()),
        ("127.0.0.1:9000", places.app.to_string()),
    ]
}

fn command(places: &Places) -> Vec<String> {
    ["caddy", "run", "--adapter", "caddyfile", "--config", &places.path("Caddyfile")].map(str::to_owned).into()
}
